import { spawnSync } from 'node:child_process';
import { expect } from 'chai';

const CHILD = new URL('./fixtures/swap-pages.ts', import.meta.url).pathname;

/** Runs the child; a death of the wanted kind leaves no core file. */
function swapPages(rounds: number, how: 'window' | 'by-hand') {
  const node = [process.execPath, '--conditions=@oriel/source', '--disable-warning=ExperimentalWarning'];
  const argv = ['-c', 'ulimit -c 0; exec "$@"', 'sh', ...node, CHILD, String(rounds), how];
  return spawnSync('sh', argv, { encoding: 'utf8', timeout: 60_000 });
}

describe('Window under the loads of another thread', function () {
  this.timeout(90_000);

  it('shows old pages, new pages or unmapped ones, and never a hole', () => {
    const { status, signal, stdout, stderr } = swapPages(2000, 'window');
    expect({ status, signal }, stderr).to.deep.equal({ status: 0, signal: null });
    const { loads, seen } = JSON.parse(stdout) as { loads: number; seen: number[] };
    expect(loads).to.be.above(100);
    expect(seen, 'zeros, the first file, the second, anything else').to.deep.equal([1, 1, 1, 0]);
  });

  it('would be killed by a front-end that unmaps before it maps', () => {
    expect(swapPages(1_000_000, 'by-hand').signal).to.equal('SIGSEGV');
  });
});
