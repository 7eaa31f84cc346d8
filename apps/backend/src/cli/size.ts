/** Sizes as people write them: bytes with an optional suffix of 1024s. */
import { CliError } from './cli-error.ts';

const UNITS: Readonly<Record<string, number>> = { '': 1, K: 1024, M: 1024 ** 2, G: 1024 ** 3, T: 1024 ** 4 };

/**
 * Parses '4096', '64K', '256M', '2G', '1T'; small letters count too.
 * @throws CliError
 */
export function parseSize(name: string, text: string): number {
  const match = /^(\d+)([KMGT]?)$/i.exec(text);
  const bytes = match === null ? Number.NaN : Number(match[1]) * UNITS[match[2]!.toUpperCase()]!;
  if (!Number.isSafeInteger(bytes)) {
    throw new CliError(`--${name}=${text}: give a size such as 4096, 64K, 256M or 2G`);
  }
  return bytes;
}

/** The shortest exact form: 268435456 is '256M'. */
export function formatSize(bytes: number): string {
  for (const [suffix, unit] of Object.entries(UNITS).reverse()) {
    if (bytes >= unit && bytes % unit === 0) {
      return `${bytes / unit}${suffix}`;
    }
  }
  return String(bytes);
}
