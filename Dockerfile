# The translator with CUDA. Build: docker build -t translator .
# Train:     docker run --gpus all -v "$PWD/runs:/models" -v "$PWD/data:/data" translator train /opt/translator/configs/phrasebook.yaml output=/models/phrasebook
# Translate: docker run -i --gpus all -v "$PWD/runs:/models" translator translate /models/phrasebook < in.fr > out.en
# Several GPUs: docker run --gpus all -v "$PWD:/data" --entrypoint torchrun translator --standalone --nproc-per-node=gpu -m translator translate fr-en --input big.fr --output big.en
# Several machines: docs/large-corpora.md has a Kubernetes Job and a Slurm script.
FROM nvidia/cuda:13.0.1-base-ubuntu24.04

SHELL ["/bin/bash", "-o", "pipefail", "-c"]

# g++ and the Python headers: torch.compile and Triton build small libraries on first use.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends g++ python3-dev python3-venv \
    && rm -rf /var/lib/apt/lists/*

RUN useradd --create-home --uid 10001 translator \
    && mkdir -p /models /data \
    && chown translator /models /data

ENV VIRTUAL_ENV=/opt/venv
RUN python3 -m venv "$VIRTUAL_ENV" && chown -R translator "$VIRTUAL_ENV"
ENV PATH="$VIRTUAL_ENV/bin:$PATH"

USER 10001
WORKDIR /opt/translator
COPY --chown=translator pyproject.toml README.md LICENSE ./
COPY --chown=translator translator ./translator
COPY --chown=translator models ./models
COPY --chown=translator configs ./configs
RUN pip install --no-cache-dir .

# Model directories and corpora live outside the image; so does the cache of tokenized text.
VOLUME ["/models", "/data"]
ENV HF_HOME=/data/huggingface
WORKDIR /data
ENTRYPOINT ["translator"]
CMD ["--help"]
