import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TempDir, tempDir } from '@oriel/sys/testing';
import { expect } from 'chai';
import { CreateError } from '../src/errors.ts';
import { createProject } from '../src/project.ts';
import { create, install, run } from './workshop.ts';

describe('create-oriel', () => {
  let dir: TempDir;
  beforeEach(() => {
    dir = tempDir('create-oriel-');
  });
  afterEach(() => dir[Symbol.dispose]());

  it('makes a project with the name of its folder and exact versions', () => {
    const { name, folder, files } = createProject(join(dir.path, 'wave-form'));
    expect(name).to.equal('wave-form');
    expect(files).to.deep.equal([
      '.gitignore',
      'README.md',
      'package.json',
      'src/device.ts',
      'src/main.ts',
      'test/device.test.ts',
      'tsconfig.json',
    ]);
    const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
    expect(manifest.name).to.equal('wave-form');
    const versions = Object.values({ ...manifest.dependencies, ...manifest.devDependencies });
    expect(versions).to.have.length(6);
    for (const version of versions) expect(version).to.match(/^\d+\.\d+\.\d+$/);
    for (const file of files) expect(readFileSync(join(folder, file), 'utf8')).not.to.match(/my-device|VERSION/);
  });

  it('names the versions that this checkout has', () => {
    const { folder } = createProject(join(dir.path, 'one'));
    const { dependencies } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
    for (const [name, version] of Object.entries(dependencies)) {
      const url = new URL(`../../${name.replace('@oriel/', '')}/package.json`, import.meta.url);
      expect(JSON.parse(readFileSync(url, 'utf8')).version, name).to.equal(version);
    }
  });

  it('makes a project whose test and types pass at once', async function () {
    this.timeout(60_000);
    const made = await create(dir.path, 'first');
    expect(made, made.text).to.have.property('code', 0);
    expect(made.text).to.include('cd first\n    npm install\n    npm test');
    const folder = join(dir.path, 'first');
    install(folder);
    const [test, types] = await Promise.all([
      run(folder, 'npm test'),
      run(folder, 'tsc --customConditions @oriel/source'),
    ]);
    expect(test, test.text).to.have.property('code', 0);
    expect(Number(/pass (\d+)/.exec(test.text)?.[1])).to.be.at.least(10);
    expect(test.text).to.match(/fail 0\n/);
    expect(types, types.text).to.have.property('code', 0);
  });

  it('takes an empty folder, and refuses any other', () => {
    mkdirSync(join(dir.path, 'empty'));
    createProject(join(dir.path, 'empty'));
    const full = join(dir.path, 'full');
    mkdirSync(full);
    writeFileSync(join(full, 'file'), '');
    const refused = (target: string) =>
      expect(() => createProject(target))
        .to.throw(CreateError)
        .with.property('code');
    refused(full).equal('ERR_CREATE_FOLDER');
    refused(join(full, 'file')).equal('ERR_CREATE_FOLDER');
    refused(join(dir.path, 'Capital')).equal('ERR_CREATE_NAME');
    refused(join(dir.path, 'quote"')).equal('ERR_CREATE_NAME');
    refused('/').equal('ERR_CREATE_NAME');
    expect(readdirSync(full)).to.deep.equal(['file']);
    expect(readdirSync(dir.path).sort()).to.deep.equal(['empty', 'full']);
  });

  it('says what it wants', async function () {
    this.timeout(60_000);
    for (const args of [[], ['one', 'two'], ['--force']]) {
      const { code, text } = await create(dir.path, ...args);
      expect(code).to.equal(1);
      expect(text).to.match(/^ERR_CREATE_USAGE: npm create oriel NAME/);
    }
    expect((await create(dir.path, '--help')).code).to.equal(0);
    const { code, text } = await create(dir.path, 'Bad');
    expect([code, text.split(':')[0]]).to.deep.equal([1, 'ERR_CREATE_NAME']);
  });
});
