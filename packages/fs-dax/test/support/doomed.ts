/** A process that kills itself at a step of a growth. Arguments: directory, step. */
import type { GrowthStep } from '../../src/index.ts';
import { ALWAYS, Rig } from './rig.ts';

const [at, doom] = process.argv.slice(2) as [string, GrowthStep];
const rig = await Rig.mounted(ALWAYS, {
  at,
  dax: { tail: 'grow' },
  onGrowthStep: (step) => {
    if (step === doom) process.kill(process.pid, 'SIGKILL');
  },
});
await rig.map(await rig.lookup('odd'), 0, 0);
