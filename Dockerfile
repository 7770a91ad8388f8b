# One image for every process of a network: `docker build -t neurond .`, then `docker run --rm neurond run digits`.
# BASE is any image with Python 3.11 or newer, its venv module and a C library that the locked wheels are built for.
ARG BASE=python:3.11-slim

FROM ${BASE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
# Two environments: pip stays here in one, and what it installs goes into the other, which moves on.
RUN python3 -m venv /pip && python3 -m venv --without-pip /opt/neurond
COPY requirements.lock /src/
# Only wheels: there is no compiler here, and a package without one is said at once. What packages bring for their own
# tests alone stays behind, 15 MB of it NumPy's.
RUN /pip/bin/pip --python /opt/neurond/bin/python install \
    --only-binary :all: --require-hashes --requirement /src/requirements.lock \
    && find /opt/neurond/lib -type d -name tests -prune -exec rm -rf {} +
COPY . /src
RUN /pip/bin/pip --python /opt/neurond/bin/python install --no-deps --no-build-isolation /src \
    && /pip/bin/pip --python /opt/neurond/bin/python uninstall --yes setuptools

FROM ${BASE}
# Nobody here is root; a named volume mounted at /runs or /keys takes over whose that folder is.
RUN useradd --uid 10001 --create-home --shell /usr/sbin/nologin neurond \
    && install --directory --owner neurond --group neurond /runs \
    && install --directory --owner neurond --group neurond --mode 0700 /keys
COPY --from=build /opt/neurond /opt/neurond
ENV PATH=/opt/neurond/bin:$PATH PYTHONUNBUFFERED=1 NEUROND_RUNS=/runs
USER 10001:10001
WORKDIR /home/neurond
ENTRYPOINT ["neurond"]
CMD ["--help"]
