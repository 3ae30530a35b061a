import type { JobPosition } from "#contracts/messages.ts";

/** Is `job` a later one than `fence`? */
export function isNewer(job: JobPosition, fence: JobPosition): boolean {
  return compareJobs(job, fence) > 0;
}

/** The order of the looks at a resource: by epoch, then by sequence. */
export function compareJobs(a: JobPosition, b: JobPosition): number {
  return a.epoch === b.epoch ? a.sequence - b.sequence : a.epoch - b.epoch;
}
