# unrolld in a container:
#   docker build -t unroll . && docker run --network none -v unroll-run:/run/unroll -v unroll-state:/var/lib/unroll unroll
# Written where there was no Docker: the packages in it are tested (make check-package), this file has not been run.
FROM debian:bookworm AS build
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates git make python3 python3-pip
COPY . /source
WORKDIR /source
RUN make package

FROM debian:bookworm
COPY --from=build /source/build/packages/*.deb /packages/
RUN apt-get update \
 && apt-get install -y --no-install-recommends systemd-standalone-sysusers \
    /packages/unroll_*.deb /packages/unroll-plugins_*.deb /packages/unroll-model_*.deb \
 && rm -rf /packages /var/lib/apt/lists/* \
 && install -d -o unroll -g unroll /run/unroll && install -d -o unroll -g unroll -m 0700 /var/lib/unroll
USER unroll
ENV HOME=/var/lib/unroll STATE_DIRECTORY=/var/lib/unroll
VOLUME /run/unroll /var/lib/unroll
ENTRYPOINT ["unrolld", "--config", "/etc/unroll/unrolld.json"]
