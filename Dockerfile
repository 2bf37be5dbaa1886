# Both services from one file: `docker build --target producer-api .` and `--target sink-worker`.
# They share all layers but the last. Node runs the TypeScript files directly, so there is no build step.

FROM node:24-bookworm-slim AS dependencies
WORKDIR /app
COPY package.json package-lock.json ./
# Optional packages are the services for `npm start`. Source maps are two thirds of the rest.
RUN npm ci --omit=dev --omit=optional --ignore-scripts --no-audit --no-fund \
 && find node_modules -name '*.map' -delete

# Not FROM node, because the services need only Node, without npm.
FROM debian:bookworm-slim AS firehose
LABEL org.opencontainers.image.title=Firehose org.opencontainers.image.licenses=Apache-2.0
COPY --from=dependencies /usr/local/bin/node /usr/local/bin/node
RUN groupadd --system --gid 10001 firehose \
 && useradd --system --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin firehose \
 && install -d -o firehose /app/.compile-cache \
 && install -d -o firehose -g firehose -m 700 /keys
WORKDIR /app
COPY --from=dependencies /app/node_modules node_modules
# Readable by every user, whatever the umask of the checkout.
COPY --chmod=755 . .
ENV NODE_ENV=production NODE_COMPILE_CACHE=/app/.compile-cache
# Node's flags are in platform/node.conf.
ENTRYPOINT ["/app/firehose"]
# A number: Kubernetes' runAsNonRoot cannot tell whether a name is root.
USER 10001:10001
# Compiles the services into the cache, for faster starts even on a read-only root file system. With these invalid
# settings they load all their modules, report the settings and exit 78.
RUN for service in api sink 'maintain --every'; do \
      KAFKA_BOOTSTRAP_SERVERS=none MAINTAIN_PORT=none ./firehose $service 2>/tmp/said \
        || test $? = 78 || { cat /tmp/said; exit 1; }; \
    done; rm /tmp/said

# A liveness check, because an orchestrator may kill unhealthy containers. For readiness see docker-compose.yml.
FROM firehose AS producer-api
ENV HOST=0.0.0.0 PORT=8000
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s CMD platform/http-ok.sh "$PORT" /livez
CMD ["api"]

FROM firehose AS sink-worker
ENV SINK_HOST=0.0.0.0 SINK_PORT=8001 MAINTAIN_HOST=0.0.0.0 MAINTAIN_PORT=8003
EXPOSE 8001 8003
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s CMD platform/http-ok.sh "$SINK_PORT" /livez
CMD ["sink"]
