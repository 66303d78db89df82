# unrolld in a container, on a Unix socket that it shares with other containers by a volume:
#   docker build -t unroll .
#   docker run --read-only --tmpfs /tmp --network none --cap-drop ALL --security-opt no-new-privileges \
#     -v unroll-run:/run/unroll -v unroll-state:/var/lib/unroll unroll
# `make check-image` executes the second stage without Docker and tests the result.
FROM debian:bookworm AS build
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates git make python3 python3-pip
COPY . /source
WORKDIR /source
RUN make package

FROM debian:bookworm
COPY --from=build /source/build/packages/*.deb /packages/
# A fixed uid and gid, so that volumes can be used with another image.
RUN groupadd --system --gid 10001 unroll \
 && useradd --system --uid 10001 --gid 10001 --home-dir /var/lib/unroll --no-create-home --shell /usr/sbin/nologin unroll
# tini, as process 1, reaps orphaned processes; curl is for HEALTHCHECK.
RUN apt-get update \
 && apt-get install -y --no-install-recommends systemd-standalone-sysusers tini curl \
    /packages/unroll_*.deb /packages/unroll-plugins_*.deb /packages/unroll-model_*.deb \
 && rm -rf /packages /var/lib/apt/lists/* \
 && install -d -o unroll -g unroll /run/unroll && install -d -o unroll -g unroll -m 0700 /var/lib/unroll
USER 10001:10001
ENV HOME=/var/lib/unroll STATE_DIRECTORY=/var/lib/unroll
VOLUME /run/unroll /var/lib/unroll
HEALTHCHECK --interval=30s --timeout=5s --start-period=5m \
  CMD ["curl", "--fail", "--silent", "--show-error", "--unix-socket", "/run/unroll/unroll.sock", "http://unroll/readyz"]
STOPSIGNAL SIGTERM
# `docker stop` kills after 10 s: the drain and what follows (at most 4 s, even if something hangs) must fit in.
ENTRYPOINT ["tini", "--", "unrolld", "--config", "/etc/unroll/unrolld.json", "--drain-ms", "5000"]
