#!/bin/bash
# One run on two nodes of eight GPUs: sbatch examples/cluster/slurm.sh. One torchrun a node starts a
# process for each GPU; they meet at the first node. Where a node fails, Slurm starts the job again, and
# hornbook goes on with the run in --out; so it does where the time was up and the file is given to sbatch
# again. Two minutes before, hornbook is told to save.
#SBATCH --job-name=hornbook
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=8
#SBATCH --cpus-per-task=64
#SBATCH --time=12:00:00
#SBATCH --requeue
#SBATCH --signal=TERM@120
#SBATCH --output=%x-%j.log
set -euo pipefail

shared=/shared/$USER                      # a disk that all nodes see
export HORNBOOK_CACHE=$shared/hornbook-cache
export TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1 # so that a torchrun that comes later can join (docs/scaling.md)
head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)

# srun does not take over --cpus-per-task; and where one torchrun gives up, the others are to end, too
srun --cpus-per-task "$SLURM_CPUS_PER_TASK" --kill-on-bad-exit=1 torchrun \
  --nnodes "$SLURM_NNODES" --nproc-per-node 8 --max-restarts 3 \
  --rdzv-backend c10d --rdzv-id "$SLURM_JOB_ID" --rdzv-endpoint "$head:29500" \
  -m hornbook train "$shared/text" --model gpt --parallel auto --out "$shared/runs/first" \
  --model.n-layer 16 --model.n-embd 2048 --model.n-head 16 --model.n-kv-head 8 \
  --model.n-hidden 6144 --model.context-length 2048 \
  --training.batch-size 512 --steps 20000
