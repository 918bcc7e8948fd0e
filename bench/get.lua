-- Reads one path again and again, with the key. FOODSVC_BENCH_PATH, FOODSVC_BENCH_KEY.
wrk.path = os.getenv("FOODSVC_BENCH_PATH")
wrk.headers["X-API-Key"] = os.getenv("FOODSVC_BENCH_KEY")
