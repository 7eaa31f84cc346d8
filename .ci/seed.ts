/**
 * Required by mocha before the tests: the seed of what is random in them. In CI it stands fixed, so that a run shows what
 * every run shows; elsewhere each run has another one, which fast-check prints with a failure. `ORIEL_SEED=N` sets it.
 */
import fc from 'fast-check';

const CI_SEED = 20261123;

const { env } = process;
// In the environment, where tests without properties look, too.
if (env['CI']) env['ORIEL_SEED'] ??= String(CI_SEED);
const given = env['ORIEL_SEED'];
if (given !== undefined) {
  const seed = Number(given);
  if (given === '' || !Number.isInteger(seed)) throw new RangeError(`ORIEL_SEED=${given}: not a whole number`);
  fc.configureGlobal({ ...fc.readConfigureGlobal(), seed });
}
