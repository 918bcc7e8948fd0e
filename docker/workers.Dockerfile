# The workers: foodsvc-orderd, foodsvc-sweepd, foodsvc-sim, and foodctl. The command says which.
#
# Built from the root of the repository: docker build -f docker/workers.Dockerfile -t foodsvc/workers .
# BASE may be any Debian 12, a local one for instance.
ARG BASE=docker.io/library/debian:bookworm-20250520-slim

FROM ${BASE} AS build
# hadolint ignore=DL3008
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
        gcc libc6-dev make pkg-config libssl-dev zlib1g-dev libcurl4-openssl-dev libmicrohttpd-dev libcmocka-dev \
        libmongoc-dev libbson-dev librabbitmq-dev libhiredis-dev libjansson-dev \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY Makefile ./
COPY scripts/check-headers scripts/
COPY libfoodsvc libfoodsvc
COPY workers workers
RUN make -j2 BUILD=/out workers && strip --strip-unneeded /out/bin/*

FROM ${BASE}
LABEL org.opencontainers.image.title="foodsvc workers" \
      org.opencontainers.image.licenses="BSD-2-Clause"
# curl is the health check's.
# hadolint ignore=DL3008
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
        ca-certificates curl libcurl4 libmicrohttpd12 libssl3 zlib1g \
        libmongoc-1.0-0 libbson-1.0-0 librabbitmq4 libhiredis0.14 libjansson4 \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --system --gid 10001 foodsvc \
    && useradd --system --uid 10001 --gid 10001 --home-dir /nonexistent --no-create-home \
        --shell /usr/sbin/nologin foodsvc \
    && install -d -o foodsvc -g foodsvc -m 0700 /var/lib/foodsvc
COPY --from=build /out/bin/ /usr/local/bin/
COPY LICENSE /usr/share/doc/foodsvc/
COPY conf/orderd.conf conf/sweepd.conf conf/sim.conf /etc/foodsvc/
# A library that is missing here is found now, not at the first start.
RUN foodsvc-orderd --version && foodsvc-sweepd --version && foodsvc-sim --version && foodctl --version
USER 10001:10001
CMD ["foodsvc-orderd", "--config", "/etc/foodsvc/orderd.conf"]
