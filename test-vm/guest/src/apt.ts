/**
 * A private apt: own sources, lists and cache in a folder of ours, the host's proxies and credentials.
 *
 * The host's packages are neither read nor changed: apt resolves against an empty dpkg status, downloads what is
 * missing, and the packages are unpacked, not installed. So this needs no root, no chroot and no maintainer scripts.
 * Signatures are checked against the Debian archive keyring of the host.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { GuestError } from './errors.ts';
import { exec } from './exec.ts';
import { PREFERENCES, SUITES } from './recipe.ts';

const KEYRINGS = ['/usr/share/keyrings/debian-archive-keyring.pgp', '/usr/share/keyrings/debian-archive-keyring.gpg'];

/**
 * The mirrors that the host's own apt is configured with, best first; `ORIEL_DEBIAN_MIRROR` comes before them.
 * apt itself is asked what it would fetch: it understands every form of sources, and needs no network for it.
 */
async function mirrors(): Promise<string[]> {
  const codename = /^VERSION_CODENAME="?([\w-]+)/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? '';
  const text = await exec(['apt-get', 'update', '--print-uris']);
  const found = [...text.matchAll(/'(.+?)\/?\/dists\/([^/']+)\/InRelease'/g)].map(([, site, suite]) => ({
    site,
    suite,
  }));
  const main = found.filter(({ suite }) => suite === codename);
  const named = process.env['ORIEL_DEBIAN_MIRROR'];
  return [...new Set([...(named ? [named] : []), ...[...main, ...found].map(({ site }) => site!)])];
}

/** Calls apt tools against the private configuration. */
export class PrivateApt {
  readonly #dir: string;
  readonly #log: (line: string) => void;

  /** @param dir - an empty folder for configuration, lists and packages; its owner removes it */
  constructor(dir: string, log: (line: string) => void) {
    this.#dir = dir;
    this.#log = log;
  }

  /** Where the packages lie after {@link download}. */
  get archives(): string {
    return join(this.#dir, 'cache/archives');
  }

  /**
   * Writes the configuration and fetches the package lists.
   * @throws GuestError ERR_GUEST_UNSUPPORTED when no configured mirror has the suites, or no keyring verifies them
   */
  async open(): Promise<void> {
    const dir = this.#dir;
    for (const sub of ['state/lists/partial', 'cache/archives/partial']) mkdirSync(join(dir, sub), { recursive: true });
    writeFileSync(join(dir, 'status'), '');
    writeFileSync(join(dir, 'preferences'), PREFERENCES);
    writeFileSync(
      join(dir, 'apt.conf'),
      [
        '#clear APT::Update::Post-Invoke;',
        '#clear APT::Update::Post-Invoke-Success;',
        '#clear Acquire::IndexTargets::deb::DEP-11;',
        '#clear Acquire::Languages;',
        'Acquire::Languages "none";',
        'APT::Architecture "amd64";',
        '#clear APT::Architectures;',
        'APT::Architectures { "amd64"; };',
        // The download user of apt cannot enter a home folder.
        'APT::Sandbox::User "";',
        'APT::Install-Recommends "false";',
        'APT::Update::Error-Mode "any";',
        `Dir::State "${dir}/state/";`,
        `Dir::State::status "${dir}/status";`,
        `Dir::Cache "${dir}/cache/";`,
        'Dir::Cache::pkgcache "pkgcache.bin";',
        `Dir::Etc::sourcelist "${dir}/sources.list";`,
        'Dir::Etc::sourceparts "/dev/null";',
        `Dir::Etc::preferences "${dir}/preferences";`,
        'Dir::Etc::preferencesparts "/dev/null";',
        '',
      ].join('\n'),
    );
    await this.#findMirror();
  }

  async #findMirror(): Promise<void> {
    const sites = await mirrors();
    if (sites.length === 0) {
      throw new GuestError('ERR_GUEST_UNSUPPORTED', 'apt has no source; set ORIEL_DEBIAN_MIRROR to a Debian mirror');
    }
    const failures: string[] = [];
    for (const site of sites) {
      for (const renewed of [false, true]) {
        try {
          if (renewed) await this.#renewKeyring();
          await this.#update(site);
          return;
        } catch (error) {
          const text = (error as Error).message;
          failures.push(text);
          // Only a missing key is worth a second try.
          if (!/NO_PUBKEY|public key|keyring/i.test(text)) break;
        }
      }
    }
    throw new GuestError('ERR_GUEST_UNSUPPORTED', `no mirror gives ${SUITES.join(' and ')}:\n${failures.join('\n')}`);
  }

  async #update(site: string): Promise<void> {
    const keyring = KEYRINGS.find((path) => existsSync(path));
    if (keyring === undefined) throw new GuestError('ERR_GUEST_UNSUPPORTED', 'no Debian archive keyring on this host');
    const lines = SUITES.map((suite) => `deb [arch=amd64 signed-by=${keyring}] ${site} ${suite} main\n`);
    writeFileSync(join(this.#dir, 'sources.list'), lines.join(''));
    this.#log(`fetching the package lists of ${SUITES.join(' and ')}`);
    await this.#apt(['apt-get', 'update', '-qq'], 180_000);
  }

  /** The host's own suite carries newer release keys in its keyring package: authenticated by the keys it has. */
  async #renewKeyring(): Promise<void> {
    if (process.getuid?.() !== 0) throw new GuestError('ERR_GUEST_UNSUPPORTED', 'renewing the keyring needs root');
    this.#log('the archive keyring lacks a key: installing a newer debian-archive-keyring');
    const env = { DEBIAN_FRONTEND: 'noninteractive' };
    await exec(['apt-get', 'update', '-qq'], { env, timeoutMs: 180_000 });
    await exec(['apt-get', 'install', '-y', '-qq', 'debian-archive-keyring'], { env, timeoutMs: 180_000 });
  }

  /** Downloads packages and all they depend on. */
  async downloadWithDependencies(packages: readonly string[]): Promise<void> {
    await this.#apt(['apt-get', 'install', '-y', '-qq', '--download-only', ...packages], 600_000);
  }

  /** Downloads just these packages. */
  async download(packages: readonly string[]): Promise<void> {
    await this.#apt(['apt-get', 'download', '-qq', ...packages], 600_000, this.archives);
  }

  /** The names a package depends on directly. */
  async dependencies(name: string): Promise<string[]> {
    const text = await this.#apt(['apt-cache', 'depends', '--important', name], 60_000);
    return [...text.matchAll(/Depends: (\S+)/g)].map((match) => match[1]!);
  }

  #apt(command: readonly string[], timeoutMs: number, cwd?: string): Promise<string> {
    const [program, ...args] = command as [string, ...string[]];
    const options = { timeoutMs, env: { DEBIAN_FRONTEND: 'noninteractive' } };
    return exec(
      [program, '-c', join(this.#dir, 'apt.conf'), ...args],
      cwd === undefined ? options : { ...options, cwd },
    );
  }
}
