# docker/build.sh builds this and passes the commit and the base's digest. A plain `docker build .` works too, but then
# results do not record the commit. Only files that .dockerignore lets through can reach the image.

# Any image with Python 3.10 as `python` on glibc >= 2.28. build.sh replaces the tag by its digest.
ARG BASE_IMAGE=python:3.10-slim-bookworm

FROM ${BASE_IMAGE} AS builder
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PATH=/opt/petl/venv/bin:$PATH
RUN python -m venv /opt/petl/venv

# The packages first, because only the lock changes this layer of 4 GB; a change of code does not.
COPY docker/requirements.lock /src/docker/
RUN pip install --require-hashes --only-binary :all: --no-deps -r /src/docker/requirements.lock \
    && pip check

COPY . /src
RUN pip install --no-deps --no-build-isolation --no-index /src

# Results record this hash. It is a file, not a variable: not every runtime keeps an image's variables, and a job's own
# environment could override one.
RUN sha256sum </src/docker/requirements.lock | cut -d ' ' -f 1 >/opt/petl/venv/lock.sha256

# A package that does not import should fail here, not in a job. The caches stay in this stage.
RUN NUMBA_CACHE_DIR=/tmp/numba MPLCONFIGDIR=/tmp/mpl \
    python -c "import petl.cli, slurm, analysis, librosa, seaborn, torch, transformers; print(torch.version.cuda)"


# Nothing is installed with apt: every wheel in the lock brings its own libraries (soundfile brings libsndfile). Without
# a compiler in the image, a job cannot build packages that the lock does not name.
FROM ${BASE_IMAGE}
COPY --from=builder /opt/petl/venv /opt/petl/venv

# Schedulers run the image under the submitter's uid, which is not in its /etc/passwd. That user needs a name (getpass
# reads LOGNAME and USER before passwd), a home, and writable caches. /runs, /data and /cache are mount points. With a
# read-only image, as in Apptainer, mount all three: librosa cannot be imported where numba cannot write its cache.
RUN install -d -m 1777 /cache /data /runs /home/petl
ENV PATH=/opt/petl/venv/bin:$PATH \
    USER=petl LOGNAME=petl HOME=/home/petl \
    PETL_RUNS=/runs PETL_DATA=/data PETL_CACHE=/cache \
    XDG_CACHE_HOME=/cache HF_HOME=/cache/huggingface TORCH_HOME=/cache/torch \
    NUMBA_CACHE_DIR=/cache/numba MPLCONFIGDIR=/cache/matplotlib \
    MPLBACKEND=Agg PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
WORKDIR /runs

# Last, because they change with every commit. Results record these files; `docker inspect` shows the labels.
ARG BASE_IMAGE
ARG GIT_COMMIT=
ARG LOCK_HASH=
ARG VERSION=
RUN echo "$GIT_COMMIT" >/opt/petl/venv/git-commit && echo "$BASE_IMAGE" >/opt/petl/venv/base-image
LABEL org.opencontainers.image.title="petl-ast" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$GIT_COMMIT" \
      org.opencontainers.image.base.name="$BASE_IMAGE" \
      petl-ast.lock.sha256="$LOCK_HASH"

USER 10001:10001
ENTRYPOINT ["petl"]
CMD ["--help"]
