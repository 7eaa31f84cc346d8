import { statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { tempDir } from '@oriel/sys/testing';
import { expect } from 'chai';
import { CliError } from '../src/cli/cli-error.ts';
import { defaultStateDir, openStateDir } from '../src/state-dir.ts';

describe('the state directory', () => {
  it('is one of the system for root, and of the user otherwise', () => {
    expect(defaultStateDir({}, 0)).to.equal('/var/lib/oriel');
    expect(defaultStateDir({ XDG_STATE_HOME: '/state' }, 1000)).to.equal('/state/oriel');
    expect(defaultStateDir({}, 1000)).to.match(/\/\.local\/state\/oriel$/);
  });

  it('is made when missing, for its owner only', () => {
    using dir = tempDir();
    const path = openStateDir(join(dir.path, 'a/b'));
    expect(statSync(path).mode & 0o777).to.equal(0o700);
    expect(openStateDir(path)).to.equal(path);
  });

  it('says what to give when it cannot be made', () => {
    using dir = tempDir();
    writeFileSync(join(dir.path, 'file'), '');
    expect(() => openStateDir(join(dir.path, 'file/b'))).to.throw(CliError, '--state-dir');
  });
});
