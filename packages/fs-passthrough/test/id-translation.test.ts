/** Ids of users and groups that are others on the host. */
import { chmodSync, chownSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { EPERM, O_RDWR, openSys } from '@oriel/sys';
import { expect } from 'chai';
import fc from 'fast-check';
import { IdTranslation } from '../src/id-translation.ts';
import { PassthroughError, PassthroughFilesystem, type PassthroughOptions, parseIdRule } from '../src/index.ts';
import { DrivenShare } from './support/driven-share.ts';
import { checkLeaks } from './support/leaks.ts';
import { ROOT } from './support/share.ts';

const translation = (...rules: string[]): IdTranslation => new IdTranslation(rules.map(parseIdRule));
const ids = (...rules: string[]) => rules.map(parseIdRule);

describe('rules for ids', () => {
  const cases: readonly [rule: string, toHost: [number, number][], toGuest: [number, number][]][] = [
    [
      'guest:1000:5000:2',
      [
        [999, 999],
        [1000, 5000],
        [1001, 5001],
        [1002, 1002],
      ],
      [[5000, 5000]],
    ],
    [
      'host:1000:5000:2',
      [[1000, 1000]],
      [
        [999, 999],
        [1000, 5000],
        [1001, 5001],
        [1002, 1002],
      ],
    ],
    [
      'map:1000:5000:2',
      [[1001, 5001]],
      [
        [5001, 1001],
        [1001, 1001],
      ],
    ],
    [
      'squash-guest:0:1000:4294967295',
      [
        [0, 1000],
        [77, 1000],
        [4294967294, 1000],
        [4294967295, 4294967295],
      ],
      [[1000, 1000]],
    ],
    [
      'squash-host:0:7:65536',
      [[3, 3]],
      [
        [0, 7],
        [65535, 7],
        [65536, 65536],
      ],
    ],
    [
      'forbid-guest:10:5',
      [
        [9, 9],
        [10, -EPERM],
        [14, -EPERM],
        [15, 15],
      ],
      [[10, 10]],
    ],
  ];
  for (const [rule, toHost, toGuest] of cases) {
    it(`${rule} says what it says`, () => {
      const both = translation(rule);
      expect(toHost.map(([id]) => [id, both.toHost(id)])).to.deep.equal(toHost);
      expect(toGuest.map(([id]) => [id, both.toGuest(id)])).to.deep.equal(toGuest);
    });
  }

  it('go together', () => {
    const both = translation('map:0:100000:1000', 'forbid-guest:1000:4294966295', 'squash-host:0:65534:100000');
    expect([both.toHost(0), both.toHost(999), both.toHost(1000)]).to.deep.equal([100000, 100999, -EPERM]);
    expect([both.toGuest(0), both.toGuest(100999), both.toGuest(101000)]).to.deep.equal([65534, 999, 101000]);
  });

  it('come back as they went, where they map', () => {
    const small = fc.integer({ min: 0, max: 1 << 20 });
    fc.assert(
      fc.property(small, small, fc.integer({ min: 1, max: 1000 }), fc.nat(999), (from, to, count, offset) => {
        const both = translation(`map:${from}:${to}:${count}`);
        const id = from + (offset % count);
        expect(both.toGuest(both.toHost(id))).to.equal(id);
      }),
    );
  });

  const bad = [
    '',
    'guest',
    'guest:1:2',
    'guest:1:2:3:4',
    'forbid-guest:1:2:3',
    'squash:1:2:3',
    'guest:a:2:3',
    'guest:-1:2:3',
    'guest:1:2:0',
    'guest:1:2:4294967296',
    'guest:4294967295:0:2',
    'map:0:4294967295:2',
    'host:4294967296:0:1',
  ];
  for (const rule of bad) {
    it(`refuses '${rule}', and names it`, () => {
      expect(() => translation(rule))
        .to.throw(PassthroughError, `'${rule}'`)
        .with.property('code', 'ERR_PASSTHROUGH_OPTION');
    });
  }

  it('refuses two that speak of the same ids', () => {
    expect(() => translation('guest:0:5:10', 'forbid-guest:9:1')).to.throw(
      PassthroughError,
      /forbid-guest:9:1.*guest:0:5:10/,
    );
    expect(() => translation('map:0:5:10', 'squash-host:14:1:1')).to.throw(PassthroughError, 'squash-host:14:1:1');
  });
});

describe('a share with other ids', () => {
  checkLeaks();
  before(function () {
    if (process.geteuid!() !== 0) {
      console.log('      SKIPPED, needs root');
      this.skip();
    }
  });

  it('gives and shows owners by its rules', () => {
    using driven = new DrivenShare({
      translateUid: ids('map:0:100000:1000', 'forbid-guest:1000:100'),
      translateGid: ids('squash-guest:0:100001:65536', 'squash-host:100001:0:1'),
    });
    const { driver, share } = driven;
    const { request } = driver;
    chmodSync(share.path, 0o777);
    Object.assign(request, { uid: 5, gid: 6 });
    const made = driver.call(request.mkdir(ROOT, 'dir', 0o755));
    expect(made.error).to.equal(0);
    expect(made.readEntry().attr).to.include({ uid: 5, gid: 0 });
    expect(statSync(share.at('dir'))).to.include({ uid: 100005, gid: 100001 });
    expect(driver.call(request.create(ROOT, 'file', O_RDWR, 0o600)).error).to.equal(0);
    expect(statSync(share.at('file'))).to.include({ uid: 100005, gid: 100001 });
    const nodeid = driven.node('file');
    expect(driver.call(request.setattr(nodeid, { uid: 7 })).readAttributes().uid).to.equal(7);
    expect(statSync(share.at('file')).uid).to.equal(100007);
    expect(driver.call(request.statx(nodeid)).readStatx().attr).to.include({ uid: 7, gid: 0 });
  });

  it('forbids what its rules forbid, and makes nothing', () => {
    using driven = new DrivenShare({
      translateUid: ids('forbid-guest:1000:1'),
      translateGid: ids('forbid-guest:50:1'),
    });
    const { driver, share } = driven;
    const { request } = driver;
    chmodSync(share.path, 0o777);
    writeFileSync(share.at('file'), '');
    chownSync(share.at('file'), 1000, 0);
    const nodeid = driven.node('file');
    for (const caller of [
      { uid: 1000, gid: 0, supplementaryGroup: -1 },
      { uid: 0, gid: 50, supplementaryGroup: -1 },
      { uid: 0, gid: 0, supplementaryGroup: 50 },
    ]) {
      Object.assign(request, caller);
      expect(driver.call(request.mkdir(ROOT, 'dir', 0o755)).error).to.equal(EPERM);
      expect(driver.call(request.create(ROOT, 'new', O_RDWR, 0o600)).error).to.equal(EPERM);
    }
    expect(driver.call(request.setattr(nodeid, { uid: 1000 })).error).to.equal(EPERM);
    expect(driver.call(request.setattr(nodeid, { gid: 50 })).error).to.equal(EPERM);
    expect(driver.call(request.getattr(nodeid)).readAttributes().uid, 'what is there is shown').to.equal(1000);
  });

  it('has no access lists, whose ids would stay as they are', () => {
    const share = (options: Partial<PassthroughOptions>) => () =>
      new PassthroughFilesystem({ sys: openSys(), sharedDir: tmpdir(), posixAcl: true, ...options });
    expect(share({ translateUid: ids('map:0:1:1') })).to.throw(PassthroughError, 'posixAcl');
    expect(share({ xattrMap: ':map::user.v.:' })).to.throw(PassthroughError, 'xattrMap');
  });
});
