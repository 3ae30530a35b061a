import { mkdir, mkdtemp, readdir, realpath, rm } from "node:fs/promises";
import { join } from "node:path";

/**
 * A new folder for one clone, by its real path, as the system names the working directory of the processes in it.
 * Folders that a killed fetcher left behind are removed first: they carry the id of a process that runs no more.
 */
export async function makeScratch(scratchFolder: string): Promise<string> {
  await mkdir(scratchFolder, { recursive: true });
  for (const name of await readdir(scratchFolder)) {
    const pid = /^git-(\d+)-/.exec(name)?.[1];
    if (pid !== undefined && !isRunning(Number(pid))) {
      await rm(join(scratchFolder, name), { recursive: true, force: true });
    }
  }
  return realpath(await mkdtemp(join(scratchFolder, `git-${process.pid}-`)));
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== "ESRCH";
  }
}
