/** Debian trees beside the guest's own, made when a suite first asks for one. */
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { PrivateApt } from './apt.ts';
import { cacheDir, contentKey, withLock, writeAtomic } from './cache.ts';
import { PREFERENCES, SUITES } from './recipe.ts';
import { packageVersions, unpack } from './tree.ts';

/** What a tree is made of. */
export interface SideTreeRecipe {
  /** Begins the name of its folder in the cache. */
  readonly name: string;
  /** Bumped when the steps change although the packages do not. */
  readonly steps: number;
  /** Unpacked by themselves, without what they depend on. */
  readonly packages: readonly string[];
}

/** A tree, unpacked but never configured; do not write there. */
export interface SideTree {
  readonly root: string;
  /** Every package of the tree with its version. */
  readonly packages: Readonly<Record<string, string>>;
}

/**
 * Makes a tree, or finds it in the cache.
 * @throws GuestError ERR_GUEST_UNSUPPORTED, ERR_GUEST_COMMAND
 */
export async function sideTree({ name, steps, packages }: SideTreeRecipe): Promise<SideTree> {
  const dir = join(cacheDir(), `${name}-${contentKey(JSON.stringify([steps, SUITES, PREFERENCES, packages]))}`);
  const root = join(dir, 'root');
  const stamp = join(dir, 'complete.json');
  const made = (): SideTree => ({ root, packages: JSON.parse(readFileSync(stamp, 'utf8')) as SideTree['packages'] });
  if (existsSync(stamp)) return made();
  const log = (line: string) => process.stderr.write(`${name} tree: ${line}\n`);
  return withLock(`${name}-tree`, async () => {
    if (existsSync(stamp)) return made();
    rmSync(dir, { recursive: true, force: true });
    mkdirSync(root, { recursive: true });
    const apt = new PrivateApt(join(dir, 'apt'), log);
    await apt.open();
    log(`downloading ${packages.length} packages`);
    await apt.download(packages);
    await unpack(apt.archives, root, log);
    const versions = packageVersions(apt.archives);
    rmSync(join(dir, 'apt'), { recursive: true });
    writeAtomic(stamp, `${JSON.stringify(versions, null, 2)}\n`);
    return made();
  });
}
