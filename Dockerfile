# docker/build.sh builds this with its provenance arguments; a plain `docker build .` works too, and then knows the
# lock but not the commit. Only what .dockerignore lets through can reach the image.

# Any image with Python 3.10 as `python` on glibc >= 2.28. build.sh replaces the tag by its digest.
ARG BASE_IMAGE=python:3.10-slim-bookworm

FROM ${BASE_IMAGE} AS builder
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PATH=/opt/petl/venv/bin:$PATH
RUN python -m venv /opt/petl/venv

# The lock alone first: 4 GB of layer that a change of code leaves alone.
COPY docker/requirements.lock /src/docker/
RUN pip install --require-hashes --only-binary :all: --no-deps -r /src/docker/requirements.lock \
    && pip check

COPY . /src
RUN pip install --no-deps --no-build-isolation --no-index /src

# Results quote this hash. It is a file and no variable: not every runtime passes an image's variables on, and a
# job of another environment could bring its own.
RUN sha256sum </src/docker/requirements.lock | cut -d ' ' -f 1 >/opt/petl/venv/lock.sha256

# A wheel that does not load should fail here and not in a queue. Its caches stay in this stage.
RUN NUMBA_CACHE_DIR=/tmp/numba MPLCONFIGDIR=/tmp/mpl \
    python -c "import petl.cli, slurm, analysis, librosa, seaborn, torch, transformers; print(torch.version.cuda)"


# Nothing is installed with apt: every wheel of the lock brings its libraries (soundfile its libsndfile), and
# without a compiler here a job cannot build what the lock does not name.
FROM ${BASE_IMAGE}
COPY --from=builder /opt/petl/venv /opt/petl/venv

# Schedulers run the image under the submitter's uid, which /etc/passwd here has never heard of. Whoever it is needs
# a name (getpass asks LOGNAME and USER before passwd), a home, and caches it may write. /runs, /data and /cache are
# the places to mount. A runtime with a read-only image, such as Apptainer, has to mount all three: numba refuses
# to import librosa where it cannot cache.
RUN install -d -m 1777 /cache /data /runs /home/petl
ENV PATH=/opt/petl/venv/bin:$PATH \
    USER=petl LOGNAME=petl HOME=/home/petl \
    PETL_RUNS=/runs PETL_DATA=/data PETL_CACHE=/cache \
    XDG_CACHE_HOME=/cache HF_HOME=/cache/huggingface TORCH_HOME=/cache/torch \
    NUMBA_CACHE_DIR=/cache/numba MPLCONFIGDIR=/cache/matplotlib \
    MPLBACKEND=Agg PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
WORKDIR /runs

# Last, because they change with every commit. Results quote the files; `docker inspect` shows the labels.
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
