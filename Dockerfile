# The images of a cluster in containers (docs/compose.md), each built from a folder that deploy/compose/images.py makes.
# The base, which docker-compose.yml names by its digest, is Debian 12 with Python 3.11, or anything with its glibc and
# bash. With libatomic1 in it, nothing is downloaded while images are built.
ARG BASE_IMAGE

# One server. `data` has an empty folder for each volume, so that Docker gives new volumes to this user.
FROM ${BASE_IMAGE} AS server
ARG PROGRAM
COPY ready with-secrets ${PROGRAM} /usr/local/bin/
COPY --chown=10001:10001 data /data
ENV HOME=/tmp
USER 10001:10001
ENTRYPOINT ["with-secrets"]

# A node: relmachine with everything that it imports.
FROM ${BASE_IMAGE} AS node
# The Rego library is linked against it, and its wheel does not bring it.
RUN ldconfig --print-cache | grep -q libatomic.so.1 \
    || (apt-get update && apt-get install --yes --no-install-recommends libatomic1 && rm -r /var/lib/apt/lists/*)
COPY ready /usr/local/bin/
COPY --chown=10001:10001 data /data
COPY site /opt/relmachine
RUN python3 -m compileall -q --invalidation-mode unchecked-hash /opt/relmachine
ENV HOME=/tmp PYTHONPATH=/opt/relmachine PYTHONUNBUFFERED=1
USER 10001:10001
