# docker/build.sh builds this and passes the commit and the base's digest. A plain `docker build .` works too, but then
# results do not record the commit. Only files that .dockerignore lets through can reach the image.

# Any image with this Python as `python` on glibc >= 2.28. build.sh replaces the tag by its digest. These three lines are
# the image `pinned`; for `modern`, build.sh passes others.
ARG BASE_IMAGE=python:3.10-slim-bookworm
ARG STACK=pinned
ARG LOCK=requirements.lock

FROM ${BASE_IMAGE} AS builder
ARG STACK
ARG LOCK
# With SOURCE_DATE_EPOCH, Python's caches hold the hash of their source and not its time: two builds write the same.
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PATH=/opt/petl/venv/bin:$PATH SOURCE_DATE_EPOCH=315532800
RUN python -m venv /opt/petl/venv

# The packages first, because only the lock changes this layer of 4 GB; a change of code does not.
COPY docker/${LOCK} /src/docker/
RUN pip install --require-hashes --only-binary :all: --no-deps -r /src/docker/${LOCK} \
    && pip check

COPY . /src
RUN pip install --no-deps --no-build-isolation --no-index /src

# Results record this hash. It is a file, not a variable: not every runtime keeps an image's variables, and a job's own
# environment could override one.
RUN sha256sum </src/docker/${LOCK} | cut -d ' ' -f 1 >/opt/petl/venv/lock.sha256 \
    && install -D --mode 644 /src/docker/${LOCK} /opt/petl/venv/locks/${LOCK}

# A package that does not import should fail here, not in a job. The caches stay in this stage. `petl submit` refuses GPUs
# by the table in petl/runs/gpus.py: it must say what this torch is built for.
RUN NUMBA_CACHE_DIR=/tmp/numba MPLCONFIGDIR=/tmp/mpl PYTHONDONTWRITEBYTECODE=1 \
    python -c "import petl.cli, slurm, analysis, librosa, petl.runs.gpus, seaborn, torch, transformers; \
    built_for = torch._C._cuda_getArchFlags().split(); print(torch.version.cuda, *built_for); \
    assert built_for == list(petl.runs.gpus.BUILT_FOR['${STACK}'])"

# Every file's hash, without Python's caches: `docker/build.sh --check` compares two builds by this list.
RUN cd /opt/petl/venv && find . -type f -not -name '*.pyc' -not -name files.sha256 -print0 | LC_ALL=C sort -z \
    | xargs -0 sha256sum >/tmp/files.sha256 && mv /tmp/files.sha256 .


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
ARG STACK
ARG VERSION=
RUN echo "$GIT_COMMIT" >/opt/petl/venv/git-commit && echo "$BASE_IMAGE" >/opt/petl/venv/base-image
LABEL org.opencontainers.image.title="petl-ast" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$GIT_COMMIT" \
      org.opencontainers.image.base.name="$BASE_IMAGE" \
      petl-ast.lock.sha256="$LOCK_HASH" \
      petl-ast.stack="$STACK"

USER 10001:10001
ENTRYPOINT ["petl"]
CMD ["--help"]
