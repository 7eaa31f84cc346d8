import { packageBuild } from '../../tsup.config.base.ts';

export default packageBuild({ index: 'src/index.ts', client: 'src/client/index.ts', testing: 'src/testing/index.ts' });
