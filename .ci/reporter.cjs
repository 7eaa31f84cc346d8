// Mocha's `spec` output on the terminal, and the counts and failures as JSON for `.ci/test.ts`.
const { writeFileSync } = require('node:fs');
const { reporters } = require('mocha');

module.exports = class CountingReporter extends reporters.Spec {
  constructor(runner, options) {
    super(runner, options);
    const failed = [];
    runner.on('fail', (test, error) => failed.push({ name: test.fullTitle(), why: String(error?.stack ?? error) }));
    runner.once('end', () => {
      const { passes, failures, pending } = this.stats;
      writeFileSync(options.reporterOptions.output, JSON.stringify({ passes, failures, pending, failed }));
    });
  }
};
