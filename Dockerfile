# The images of a gateway: docs/containers.md says how they fit together.
#
#   docker build --target strongswan -t lagopus-ipsec-agent/strongswan .     charon with kernel-lagopus
#   docker build --target agent      -t lagopus-ipsec-agent/agent .          the agent, an ordinary user
#   docker build --target dataplane  -t lagopus-ipsec-agent/dataplane .      the software ESP dataplane
#
# and, for compose.yaml's other ends, `stock` (charon without the plugin) and `client` (a host behind a
# gateway). The public images are Debian's and Node's; both can be replaced.
ARG DEBIAN_IMAGE=debian:12.11-slim
ARG NODE_IMAGE=node:24.21.0-bookworm-slim

# ---- strongSwan as Debian builds it; the plugin is compiled against it, and runs in it
FROM ${DEBIAN_IMAGE} AS stock
# The plugin fits one upstream version; Debian's security updates of it are welcome.
ARG STRONGSWAN_VERSION=5.9.8-*
# 4500: who may open the sockets that the containers of a gateway share.
RUN groupadd --gid 4500 lagopus \
  && install -d -o root -g lagopus -m 3770 /run/lagopus-ipsec \
  && apt-get update -q \
  && DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends \
    "charon-systemd=$STRONGSWAN_VERSION" "strongswan-swanctl=$STRONGSWAN_VERSION" \
    "libcharon-extra-plugins=$STRONGSWAN_VERSION" "libstrongswan-standard-plugins=$STRONGSWAN_VERSION" \
    "libstrongswan-extra-plugins=$STRONGSWAN_VERSION" netcat-openbsd \
  && rm -rf /var/lib/apt/lists/* /var/cache/* /var/log/apt /var/log/dpkg.log
COPY docker/charon-container.conf /etc/strongswan.d/
COPY docker/charon-container docker/charon-healthy /usr/local/bin/
USER 0:4500
HEALTHCHECK --interval=5s --timeout=5s --start-period=30s CMD ["charon-healthy"]
ENTRYPOINT ["charon-container"]
LABEL org.opencontainers.image.title="strongSwan" \
  org.opencontainers.image.description="strongSwan's charon with its own ESP in user space, a stock peer" \
  org.opencontainers.image.licenses="GPL-2.0-or-later"

FROM stock AS plugin
LABEL lagopus-ipsec-agent.stage=plugin
RUN apt-get update -q \
  && DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends \
    gcc libc6-dev make pkg-config bison flex gperf dpkg-dev bzip2 libssl-dev libcap-dev libsystemd-dev
WORKDIR /src
COPY scripts/lib.sh scripts/build-charon-plugin.sh scripts/
COPY charon-plugin charon-plugin
RUN sh scripts/build-charon-plugin.sh \
  && strip --strip-unneeded build/charon-plugin/libstrongswan-kernel-lagopus.so

FROM stock AS strongswan
ARG VERSION=0.1.0
COPY strongswan-conf/kernel-lagopus.conf /etc/strongswan.d/charon/
COPY strongswan-conf/charon-lagopus.conf /etc/strongswan.d/
COPY --from=plugin /src/build/charon-plugin/libstrongswan-kernel-lagopus.so /usr/lib/ipsec/plugins/
CMD ["--wait-for-agent"]
LABEL org.opencontainers.image.title="strongSwan with kernel-lagopus" \
  org.opencontainers.image.description="strongSwan's charon, whose SAs go to a Lagopus dataplane" \
  org.opencontainers.image.version="$VERSION"

# ---- a host behind a gateway
FROM ${DEBIAN_IMAGE} AS client
RUN apt-get update -q \
  && DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends iproute2 iputils-ping \
  && rm -rf /var/lib/apt/lists/* /var/cache/* /var/log/apt /var/log/dpkg.log

# ---- the package as npm would install it, with its native addon
FROM ${NODE_IMAGE} AS build
LABEL lagopus-ipsec-agent.stage=build
RUN apt-get update -q \
  && DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends gcc libc6-dev binutils
WORKDIR /app
COPY package.json package-lock.json .npmrc tsconfig.json tsconfig.build.json ./
COPY proto proto
COPY src src
# In one step, so that what only building needs is never stored.
RUN npm ci --ignore-scripts --no-audit --no-fund \
  && node_modules/.bin/tsc -p tsconfig.build.json \
  && npm prune --omit=dev --ignore-scripts --no-audit --no-fund \
  && rm -rf src tsconfig.json tsconfig.build.json package-lock.json .npmrc /root/.npm
COPY scripts/build-native.sh scripts/
COPY native native
RUN sh scripts/build-native.sh \
  && strip --strip-unneeded build/native/lagopus_native.node \
  && rm -rf native scripts \
  && find dist node_modules \( -name '*.d.ts' -o -name '*.d.cts' -o -name '*.d.mts' -o -name '*.map' \) -delete \
  && cp "$(node -p process.execPath)" /usr/local/bin/node-stripped \
  && strip --strip-unneeded /usr/local/bin/node-stripped
COPY LICENSE ./
COPY bin bin

# ---- Node and the package, nothing else: neither npm nor a compiler
FROM ${DEBIAN_IMAGE} AS runtime
ARG VERSION=0.1.0
RUN groupadd --gid 4500 lagopus \
  && useradd --uid 4500 --gid lagopus --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin lagopus \
  && install -d -o root -g lagopus -m 3770 /run/lagopus-ipsec \
  && ln -s /app/bin/ipsec-agent /usr/local/bin/ipsec-agent
COPY --from=build /usr/local/bin/node-stripped /usr/local/bin/node
COPY --from=build /app /app
ENV NODE_ENV=production IPSEC_AGENT_NODE=/usr/local/bin/node
ENTRYPOINT ["ipsec-agent"]
LABEL org.opencontainers.image.licenses="Apache-2.0" org.opencontainers.image.version="$VERSION"

# A start of Node takes long on a machine that is short of processors.
FROM runtime AS agent
COPY docker/agent.yaml /etc/lagopus-ipsec/
USER 4500:4500
HEALTHCHECK --interval=5s --timeout=20s --start-period=30s CMD ["ipsec-agent", "wait-ready", "--timeout", "3"]
CMD ["run", "--json"]
LABEL org.opencontainers.image.title="Lagopus IPsec agent" \
  org.opencontainers.image.description="Keeps a dataplane's IPsec SAs and policies equal to charon's"

FROM runtime AS dataplane
COPY docker/dataplane.yaml /etc/lagopus-ipsec/
USER 0:4500
HEALTHCHECK --interval=5s --timeout=20s --start-period=30s CMD ["ipsec-agent", "dataplane", "--check"]
CMD ["dataplane", "--json"]
LABEL org.opencontainers.image.title="Lagopus IPsec dataplane" \
  org.opencontainers.image.description="Software ESP between a TUN device and raw sockets"
