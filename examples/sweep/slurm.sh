#!/bin/sh
#SBATCH --job-name=sweep
#SBATCH --array=1-8
#SBATCH --cpus-per-task=2
#SBATCH --time=04:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=sweep-%A_%a.log
#
# Runs a sweep of any example as a Slurm job array: the tasks share out the seeds.
#
#   go build -o . ./examples/quickstart
#   sbatch --array=1-8 examples/sweep/slurm.sh ./quickstart -mini -seeds 32 -out /shared/sweep
#   ./quickstart -merge /shared/sweep      # when they are done, or to see what is missing
#
# The folder of -out must be the same for all tasks. A task that is killed, preempted or
# requeued loses the seed in progress and nothing else. To make up for tasks that failed,
# submit the same command again, with as many tasks as you like: what is finished is left
# out. Numbers of the array must be evenly spaced (1-8, 0-30:2, 1-32%4).

# Slurm warns with SIGTERM; srun passes it on, and the program stops within a step.
cpus="${SLURM_CPUS_PER_TASK:-1}"
export GOMAXPROCS="$cpus"
exec srun --cpus-per-task="$cpus" "$@" -shard env
