import type { Statements } from "./database.ts";

/** Has a resource looked at before its slot comes; a wish made earlier is replaced. */
export async function wantEarlyLook(
  tx: Statements,
  resourceKey: number,
  cause: "retry" | "after_change",
  dueAt: Date,
): Promise<void> {
  await tx.run(
    `INSERT INTO early_look (resource_key, due_at, cause) VALUES ($1, $2, $3)
      ON CONFLICT (resource_key) DO UPDATE SET due_at = excluded.due_at, cause = excluded.cause`,
    [resourceKey, dueAt, cause],
  );
}

/** A look has come: whatever wanted it sooner is satisfied. */
export async function dropEarlyLooks(tx: Statements, resourceKeys: number[]): Promise<void> {
  await tx.run("DELETE FROM early_look WHERE resource_key = ANY ($1)", [resourceKeys]);
}
