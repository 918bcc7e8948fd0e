"""The page at /docs in a real browser: somebody authorises with the key, tries POST /v1/orders, and sees 202. The page
asks no other host for anything."""

import json
import os
import shutil
import urllib.parse

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

PATIENCE = 30


@pytest.fixture
def browser(tmp_path):
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    options.accept_insecure_certs = True            # the development certificate is known to curl, not to this browser
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--no-first-run",
                     "--disable-background-networking", "--disable-component-update", "--disable-sync",
                     "--no-proxy-server", "--window-size=1280,2000", f"--user-data-dir={tmp_path}/profile"):
        options.add_argument(argument)
    service = webdriver.ChromeService(executable_path=shutil.which("chromedriver"))
    with webdriver.Chrome(options=options, service=service) as driver:
        yield driver


def test_a_call_is_authorised_tried_and_answered_202(system, browser):
    def find(selector):
        return WebDriverWait(browser, PATIENCE).until(
            lambda driver: next((e for e in driver.find_elements(By.CSS_SELECTOR, selector) if e.is_displayed()), None),
            f"{selector} does not come")

    def click(selector):
        WebDriverWait(browser, PATIENCE, ignored_exceptions=(Exception,)).until(
            lambda _: find(selector).click() is None, f"{selector} cannot be clicked")

    browser.get(system.order.url + "/docs")
    assert browser.title == "foodsvc API"
    click(".auth-wrapper .btn.authorize")
    find(".auth-container input").send_keys(os.environ["API_KEY"])
    click(".auth-container button.authorize")
    click(".auth-container button.btn-done")
    before = system.db.orders.count_documents({})
    click("#operations-orders-placeOrder .opblock-summary-control")
    click("#operations-orders-placeOrder button.execute")
    status = find("#operations-orders-placeOrder .live-responses-table tr.response td.response-col_status")
    assert status.text.split()[0] == "202"
    assert '"status": "created"' in find("#operations-orders-placeOrder .live-responses-table .highlight-code").text
    assert system.db.orders.count_documents({}) == before + 1

    requests = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    urls = [one["params"]["request"]["url"] for one in requests if one["method"] == "Network.requestWillBeSent"]
    hosts = {urllib.parse.urlsplit(url).netloc for url in urls if url.startswith("http")}
    assert hosts == {urllib.parse.urlsplit(system.order.url).netloc}
    faults = [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
    assert faults == []
