/** The pattern by which `ILIKE` finds a text anywhere. */
export function containing(text: string): string {
  return `%${text.replaceAll("\0", "").replaceAll(/[\\%_]/g, String.raw`\$&`)}%`;
}
