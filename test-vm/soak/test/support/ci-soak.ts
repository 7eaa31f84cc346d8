/** A soak as one test: short, from a fixed seed, so that a failure here is a failure everywhere. */
import { expect } from 'chai';
import { runSoak } from '../../src/run.ts';
import { soakNamed } from '../../src/soaks.ts';

/** From the environment ORIEL_SOAK_SECONDS. */
const SECONDS = Math.min(Number(process.env['ORIEL_SOAK_SECONDS'] ?? 20), 60);
const SEED = 20261122;
const GRACE_SECONDS = 45;

/** Declares the test of the soak with this name. */
export function ciSoak(name: string): void {
  const soak = soakNamed(name)!;
  describe(`soak ${name}`, function () {
    this.timeout((SECONDS + 2 * GRACE_SECONDS) * 1000);

    it(`stands ${soak.about}, for ${SECONDS} s`, async () => {
      const report = await runSoak(soak, { seconds: SECONDS, seed: SEED, graceSeconds: GRACE_SECONDS });
      const { failure, seed, operations } = report;
      const again = `npm run soak -- --only ${name} --seed ${seed} --rounds 1`;
      expect(failure, `${failure?.message}\n${failure?.stack}\nagain: ${again}`).to.equal(null);
      expect(operations).to.be.greaterThan(0);
    });
  });
}
