#!/bin/sh
#SBATCH --job-name=sweep
#SBATCH --array=1-8
#SBATCH --cpus-per-task=2
#SBATCH --time=04:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=sweep-%A_%a.log
#
# Runs a sweep of any example but the gallery as a Slurm job array: the tasks share out
# the seeds.
#
#   go build -o /shared/bin/ ./examples/quickstart
#   sbatch --array=1-8 examples/sweep/slurm.sh /shared/bin/quickstart -mini -seeds 32 -out /shared/sweep
#   /shared/bin/quickstart -merge /shared/sweep      # when they are done, or to see what is missing
#
# The folder of -out must be the same for all tasks. A task that is killed, preempted or
# requeued loses the seed in progress and nothing else. To make up for tasks that failed,
# submit the same command again, with as many tasks as you like: what is finished is left
# out. Numbers of the array must be evenly spaced (1-8, 0-30:2, 1-32%4).
#
# What is taken for granted:
# - Every node sees the program, here /shared/bin/quickstart, and has the operating system
#   and kind of processor that it was built for.
# - All nodes have the same level of vector instructions (AVX-512, AVX2 or none). Rounding
#   differs between levels, so the figures of a seed do, a little. The environment variable
#   REDOUBT_CPU=avx2 or REDOUBT_CPU=generic holds all nodes to one level.
# - Every node sees the data sets. Without -mini a program takes MNIST from a folder of
#   -data, or from the module cache of the go command, which nodes seldom have: put the
#   folder on the shared disk and name it, -data /shared/data. A task that finds only the
#   small cut inside the program fails and says so.

# Slurm warns with SIGTERM; srun passes it on, and the program stops within a step.
cpus="${SLURM_CPUS_PER_TASK:-1}"
export GOMAXPROCS="$cpus"
exec srun --cpus-per-task="$cpus" "$@" -shard env
