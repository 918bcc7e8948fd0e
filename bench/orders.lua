-- Posts orders, and writes down the id of each that was accepted: FOODSVC_BENCH_OUT.
wrk.method = "POST"
wrk.path = "/v1/orders"
wrk.headers["X-API-Key"] = os.getenv("FOODSVC_BENCH_KEY")
wrk.headers["Content-Type"] = "application/json"
wrk.body = '{"items":[{"product":"Lasagna","quantity":2},{"product":"Double Cheeseburger"}],'
    .. '"customer_id":"53c5711d-f5d4-45eb-8651-f0ba9092ba0d"}'

local out = assert(io.open(os.getenv("FOODSVC_BENCH_OUT"), "w"))

function response(status, headers, body)
    if status == 202 then
        out:write(body:match('"id":"([^"]+)"'), "\n")
    end
end
