# For GPU servers: everything the project needs; the project itself is mounted. PyTorch's wheels include CUDA.
#
#   docker build --tag deepen .
#   docker run --rm --gpus all --user "$(id -u):$(id -g)" --volume "$PWD:/project" deepen make repro
#   docker run --rm --gpus all --user "$(id -u):$(id -g)" --volume "$PWD:/project" deepen dvc exp run --temp -S data=cifar10
FROM python:3.12-slim

RUN apt-get update \
    && apt-get install --yes --no-install-recommends git make \
    && rm -rf /var/lib/apt/lists/* \
    && git config --system --add safe.directory '*'

WORKDIR /opt/deepen
RUN python -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH
COPY requirements.txt ./
RUN pip install --no-cache-dir --require-hashes --requirement requirements.txt
COPY pyproject.toml setup.py README.md LICENSE params.yaml dvc.yaml .gitignore .dvcignore ./
COPY .dvc/.gitignore .dvc/config .dvc/plots.html ./.dvc/
COPY .dvc/plots ./.dvc/plots
COPY ladders ./ladders
COPY pipeline ./pipeline
COPY src ./src
RUN pip install --no-cache-dir --no-deps --no-build-isolation .

# The mounted project's code takes precedence over the image's, make installs nothing, and any user can write to HOME.
ENV PYTHONPATH=/project/src \
    INSTALLED= \
    HOME=/home/deepen
RUN useradd --uid 1000 --home-dir /home/deepen --create-home deepen && chmod 1777 /home/deepen
USER deepen
WORKDIR /project
CMD ["make", "repro"]
