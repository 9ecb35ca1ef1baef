#!/bin/bash

# Parameters
#SBATCH --array=0-39%8
#SBATCH --cpus-per-task=4
#SBATCH --gres=gpu:1
#SBATCH --job-name=petl-table1-261120-1311-fd6285-0
#SBATCH --mem=25088M
#SBATCH --no-requeue
#SBATCH --nodes=1
#SBATCH --open-mode=append
#SBATCH --output=/scratch/runs/table1/slurm/261120-1311-fd6285/%A_%a_0_log.out
#SBATCH --signal=USR2@120
#SBATCH --time=12:00:00

# setup
trap : TERM  # this shell gets it too, and must live until Python has ended
export OMP_NUM_THREADS=4 MKL_NUM_THREADS=4

# command
export SUBMITIT_EXECUTOR=slurm
srun --unbuffered --output /scratch/runs/table1/slurm/261120-1311-fd6285/%A_%a_%t_log.out --cpus-per-task=4 /opt/petl/bin/python -u -c 'import sys; sys.path = [*filter(None, sys.path)]; from slurm.node.job import array_job; sys.exit(array_job(*sys.argv[1:]))' /scratch/runs/table1/slurm/261120-1311-fd6285/manifest.jsonl 0 /scratch/data '/scratch/my cache'


# teardown
code=$?
job=${SLURM_ARRAY_JOB_ID}_${SLURM_ARRAY_TASK_ID}
if [ $code = 76 ]; then
  scontrol hold $SLURM_ARRAY_JOB_ID
fi
exit $code