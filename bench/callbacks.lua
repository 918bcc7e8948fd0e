-- Calls back, once for each payment of FOODSVC_BENCH_IDS, and writes down which were answered with 201, into
-- FOODSVC_BENCH_OUT.
local ids = {}
for id in io.lines(os.getenv("FOODSVC_BENCH_IDS")) do
    ids[#ids + 1] = id
end

local headers = { ["X-API-Key"] = os.getenv("FOODSVC_BENCH_KEY"), ["Content-Type"] = "application/json" }
local out = assert(io.open(os.getenv("FOODSVC_BENCH_OUT"), "w"))
local next = 0

function request()
    next = next + 1
    if next > #ids then
        wrk.thread:stop()
        return wrk.format("GET", "/return")
    end
    return wrk.format("POST", "/v1/payments/callback", headers, '{"status":"paymentPaid","caller_id":"' .. ids[next]
        .. '","transaction_id":"b1b11e33-5897-4e65-915f-3b9b9ace1af2"}')
end

function response(status, headers, body)
    if status == 201 then
        out:write(body:match('"caller_id":"([^"]+)"'), "\n")
    end
end
