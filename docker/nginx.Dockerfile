# nginx with the module: OrderService (the default) or PaymentService, by the configuration that is its argument.
#
# Built from the root of the repository: docker build -f docker/nginx.Dockerfile -t foodsvc/nginx .
# BASE may be any Debian 12, a local one for instance. Both stages take nginx from the same place, so that the module
# was built for the very nginx that loads it.
ARG BASE=docker.io/library/debian:bookworm-20250520-slim

FROM ${BASE} AS build
# hadolint ignore=DL3008
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
        gcc libc6-dev make pkg-config nginx-dev libpcre2-dev zlib1g-dev libssl-dev \
        libmongoc-dev libbson-dev librabbitmq-dev libhiredis-dev libjansson-dev \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY config ./
COPY scripts/build-module scripts/check-headers scripts/
COPY libfoodsvc libfoodsvc
COPY ngx_foodsvc_module ngx_foodsvc_module
RUN scripts/build-module /out/ngx_foodsvc_module.so && strip --strip-unneeded /out/ngx_foodsvc_module.so

# What it serves beside the services' answers: /openapi.json, and the page at /docs.
FROM ${BASE} AS share
# hadolint ignore=DL3008
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends python3 python3-pip python3-yaml \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY scripts/swagger-ui.txt scripts/unwheel scripts/
RUN mkdir -p /share/docs \
    && pip3 download -q --no-deps --require-hashes --only-binary :all: -d /tmp/wheel -r scripts/swagger-ui.txt \
    && for file in LICENSE favicon-32x32.png swagger-ui-bundle.js swagger-ui.css; do \
        scripts/unwheel /tmp/wheel/*.whl "swagger-ui-dist/$file" "/share/docs/$file" || exit 1; done
COPY conf/docs /share/docs
COPY scripts/bundle-specs scripts/
COPY specs specs
RUN scripts/bundle-specs /share/openapi

FROM ${BASE}
LABEL org.opencontainers.image.title="foodsvc nginx" \
      org.opencontainers.image.licenses="BSD-2-Clause"
# curl is the health check's.
# hadolint ignore=DL3008
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
        nginx ca-certificates curl \
        libmongoc-1.0-0 libbson-1.0-0 librabbitmq4 libhiredis0.14 libjansson4 libssl3 zlib1g \
    && rm -rf /var/lib/apt/lists/* /var/log/nginx/* \
    && groupadd --system --gid 10001 foodsvc \
    && useradd --system --uid 10001 --gid 10001 --home-dir /nonexistent --no-create-home \
        --shell /usr/sbin/nologin foodsvc
COPY --from=build /out/ngx_foodsvc_module.so /usr/lib/nginx/modules/
COPY LICENSE /usr/share/doc/foodsvc/
COPY conf/foodsvc_common.conf conf/foodsvc_server.conf conf/foodsvc_docs.conf /etc/foodsvc/
COPY --from=share /share /usr/share/foodsvc
COPY docker/nginx_main.conf docker/nginx_http.conf docker/order.conf docker/payment.conf /etc/foodsvc/
# A library that is missing here is found now, not at the first start.
RUN echo 'load_module modules/ngx_foodsvc_module.so; pid /tmp/check.pid; events { }' > /tmp/check.conf \
    && nginx -t -e stderr -c /tmp/check.conf \
    && rm -f /tmp/check.conf /tmp/check.pid
USER 10001:10001
EXPOSE 8000 8001
# QUIT lets nginx finish what it accepted.
STOPSIGNAL SIGQUIT
ENTRYPOINT ["nginx", "-e", "stderr", "-c"]
CMD ["/etc/foodsvc/order.conf"]
