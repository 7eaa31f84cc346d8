import { packageBuild } from '../../tsup.config.base.ts';

export default packageBuild({
  index: 'src/index.ts',
  testing: 'src/testing/index.ts',
  // A worker is started from a file of its own, beside the code that starts it.
  'truncation-helper': 'src/fanotify/truncation-helper.ts',
  'offload-helper': 'src/loop/offload-helper.ts',
});
