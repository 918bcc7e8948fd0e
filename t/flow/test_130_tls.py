"""RabbitMQ over TLS, as the workers and foodctl speak it: its certificate has to be one of our CA's, for the url's
host. (nginx's publisher: t/120-publisher-tls.t.)"""

import os
import subprocess

from conftest import wait_for
from foodctl import ROOT, bad, good

ORDERD = os.path.join(ROOT, os.environ.get("BUILD") or "build", "bin/foodsvc-orderd")
TLS = os.environ["AMQPS_URL"]
ELSEWHERE = TLS.replace("@localhost:", "@127.0.0.2:")
CHECKED = {"AMQP_URL": TLS, "CA_CERT": os.environ["CA_CERT"]}
REFUSED = "the certificate of RabbitMQ at .* is another host's, or of nobody that"


def test_foodctl_speaks_with_a_broker_of_our_ca_and_with_no_other(system):
    system.queue.send({"hello": "in the clear"}, "over-tls")        # the queue is there
    system.queue.take("over-tls")
    good("queue", "send", '{"hello": "over TLS"}', "--queue", "over-tls", **CHECKED)
    assert "over TLS" in good("queue", "listen", "over-tls", "--count", "1", **CHECKED)
    bad("queue", "send", "{}", "--queue", "over-tls", code=1, says=REFUSED, **(CHECKED | {"CA_CERT": None}))
    bad("queue", "send", "{}", "--queue", "over-tls", code=1, says=REFUSED, **(CHECKED | {"AMQP_URL": ELSEWHERE}))


def test_orderd_consumes_over_tls_from_a_broker_of_our_ca_and_from_no_other(system, tmp_path):
    def consumers():
        return system.queue.consumers("OrderService")
    before = consumers()
    for url, ca, comes in ((TLS, os.environ["CA_CERT"], True), (TLS, "", False),
                           (ELSEWHERE, os.environ["CA_CERT"], False)):
        log = tmp_path / "orderd.log"
        with open(log, "wb") as file, subprocess.Popen(
                [ORDERD, "--mongo-url", os.environ["MONGO_URL"], "--redis-url", os.environ["REDIS_URL"],
                 "--amqp-url", url,
                 *(["--ca-file", ca] if ca else [])], stdin=subprocess.DEVNULL, stdout=file, stderr=file) as orderd:
            try:
                if comes:
                    wait_for(lambda: consumers() == before + 1, what="one more consumer")
                else:
                    wait_for(lambda: "verification failed" in log.read_text(), what="the refusal")
                    assert consumers() == before
            finally:
                orderd.terminate()
                assert orderd.wait(20) == 0
        wait_for(lambda: consumers() == before, what="the consumer's end")
