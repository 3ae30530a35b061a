import type { ChangingWorld, Site } from "./changing-world.ts";
import { readValues } from "./truth.ts";
import { until } from "./world.ts";
import type { World } from "./world.ts";

/**
 * Moves each site so often, each time as soon as its last value is recorded: so none of its values can pass unseen,
 * whatever happens meanwhile.
 */
export async function drive(world: World, watched: ChangingWorld, times: number): Promise<void> {
  const left = new Map<Site, number>(watched.sites.map((site) => [site, times]));
  await until(
    "every site moved and recorded",
    async () => {
      const values = await readValues(world);
      for (const [site, count] of left) {
        if (values.get(site.url) !== site.value) continue;
        if (count === 0) left.delete(site);
        else {
          watched.move(site);
          left.set(site, count - 1);
        }
      }
      return left.size === 0;
    },
    90_000 + 5000 * times,
  );
}
