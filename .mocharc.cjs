// Paths in `require` are taken from the working directory: an absolute one also serves a run in a package's folder.
const { join } = require('node:path');

module.exports = {
  'node-option': ['conditions=@oriel/source', 'disable-warning=ExperimentalWarning'],
  require: [join(__dirname, '.ci/seed.ts')],
  spec: ['packages/*/test/**/*.test.ts', 'apps/*/test/**/*.test.ts', 'test-vm/*/test/**/*.test.ts'],
  timeout: 10000,
};
