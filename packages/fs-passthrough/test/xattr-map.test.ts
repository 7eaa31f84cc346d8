/** Rules for names of extended attributes. */
import { writeFileSync } from 'node:fs';
import { EOPNOTSUPP, EPERM, ERANGE, openSys } from '@oriel/sys';
import { expect } from 'chai';
import fc from 'fast-check';
import { PassthroughError, parseXattrMap } from '../src/index.ts';
import { guestName, hostName } from '../src/xattrs/xattr-map.ts';
import { DrivenShare } from './support/driven-share.ts';
import { checkLeaks } from './support/leaks.ts';

/** What the guest's names become, and what it sees of the host's. */
function behaviour(text: string, guests: readonly string[], hosts: readonly string[]): object {
  const rules = parseXattrMap(text);
  return {
    toHost: guests.map((name) => hostName(rules, name)),
    toGuest: hosts.map((name) => guestName(rules, name)),
  };
}

const GUESTS = ['user.a', 'trusted.b', 'user.virtiofs.trusted.b', 'security.c'];
const HOSTS = ['user.a', 'trusted.b', 'user.virtiofs.trusted.b', 'security.c'];

describe('rules for names of attributes', () => {
  it('that put a prefix before all names, in both spellings', () => {
    for (const text of [':map::user.virtiofs.:', ':prefix:all::user.virtiofs.::bad:all:::']) {
      expect(behaviour(text, GUESTS, HOSTS), text).to.deep.equal({
        toHost: GUESTS.map((name) => `user.virtiofs.${name}`),
        toGuest: [null, null, 'trusted.b', null],
      });
    }
  });

  it('that put a prefix before some, in both spellings, with any separator and white space', () => {
    const long =
      ' /prefix/all/trusted./user.virtiofs./\n /bad/server//trusted./ /bad/client/user.virtiofs.//\t/ok/all///\n';
    for (const text of ['/map/trusted./user.virtiofs./', long]) {
      expect(behaviour(text, GUESTS, HOSTS), text).to.deep.equal({
        toHost: ['user.a', 'user.virtiofs.trusted.b', -EPERM, 'security.c'],
        toGuest: ['user.a', null, 'trusted.b', 'security.c'],
      });
    }
  });

  it('that hide and refuse', () => {
    expect(
      behaviour('|bad|all|security.|security.||unsupported|all|user.|user.||ok|all|||', GUESTS, HOSTS),
    ).to.deep.equal({
      toHost: [-EOPNOTSUPP, 'trusted.b', -EOPNOTSUPP, -EPERM],
      toGuest: [null, 'trusted.b', null, null],
    });
  });

  it('refuse what none of them speaks of', () => {
    expect(behaviour(':ok:client:user.::', GUESTS, HOSTS)).to.deep.equal({
      toHost: ['user.a', -EPERM, 'user.virtiofs.trusted.b', -EPERM],
      toGuest: [null, null, null, null],
    });
  });

  const bad: readonly [text: string, rule: RegExp][] = [
    ['', /there is none/],
    ['   ', /there is none/],
    [':ok:all:::nonsense', /rule 2/],
    [':prefix:all:a:b', /rule 1: its prepend/],
    [':ok:all:', /rule 1: its key/],
    [':ok', /rule 1: its type/],
    [':ok:all::: :okay:all:::', /rule 2: 'okay'/],
    [':ok:both:::', /rule 1: 'both'/],
    [':map:a:b: :ok:all:::', /rule 1: map must be the last/],
    [':ok:all::: :map:a:', /rule 2: its prepend/],
    [':map:a::', /rule 1: map without a prefix/],
    [':ok:all:\0::', /rule 1/],
  ];
  for (const [text, rule] of bad) {
    it(`refuses '${text.replace('\0', 'NUL')}'`, () => {
      expect(() => parseXattrMap(text))
        .to.throw(PassthroughError, rule)
        .with.property('code', 'ERR_PASSTHROUGH_OPTION');
    });
  }

  it('never fail otherwise, and a name that went to the host comes back', () => {
    const part = fc.string({ unit: fc.constantFrom('a', 'b', '.'), maxLength: 4 });
    fc.assert(
      fc.property(
        part,
        part.filter((text) => text !== ''),
        part,
        (key, prepend, rest) => {
          const rules = parseXattrMap(`:map:${key}:${prepend}:`);
          const name = key + rest;
          expect(guestName(rules, hostName(rules, name) as string)).to.equal(name);
        },
      ),
    );
    fc.assert(
      fc.property(fc.string(), (text) => {
        try {
          parseXattrMap(text);
        } catch (error) {
          expect(error).to.be.instanceOf(PassthroughError);
        }
      }),
    );
  });
});

describe('extended attributes under rules', () => {
  checkLeaks();

  const hostNames = (path: string): string[] => {
    const list = Buffer.alloc(1000);
    const len = openSys().file.listxattr(Buffer.from(`${path}\0`), list, list.length);
    return list.toString('latin1', 0, Math.max(len, 0)).split('\0').slice(0, -1).sort();
  };

  it('lie on the host under other names, trusted.* too', function () {
    using driven = new DrivenShare({ xattrMap: ':map::user.virtiofs.:' });
    const { driver, share } = driven;
    const { request } = driver;
    writeFileSync(share.at('file'), '');
    const nodeid = driven.node('file');
    const value = Buffer.from('value');
    if (driver.call(request.setxattr(nodeid, 'trusted.a', value)).error === EOPNOTSUPP) {
      console.log('      SKIPPED, the temporary directory has no user attributes');
      this.skip();
    }
    expect(driver.call(request.setxattr(nodeid, 'user.ä', value)).error).to.equal(0);
    expect(hostNames(share.at('file'))).to.deep.equal(
      ['user.virtiofs.trusted.a', Buffer.from('user.virtiofs.user.ä').toString('latin1')].sort(),
    );
    const path = Buffer.from(`${share.at('file')}\0`);
    openSys().file.setxattr(path, Buffer.from("user.host's own\0"), value, value.length, 0);
    const listed = Buffer.from(driver.call(request.listxattr(nodeid, 1000)).data)
      .toString()
      .split('\0');
    expect(listed.slice(0, -1).sort()).to.deep.equal(['trusted.a', 'user.ä']);
    expect(Buffer.from(driver.call(request.getxattr(nodeid, 'trusted.a', 100)).data)).to.deep.equal(value);
    expect(driver.call(request.removexattr(nodeid, 'trusted.a')).error).to.equal(0);
    expect(driver.call(request.setxattr(nodeid, `user.${'x'.repeat(249)}`, value)).error, 'too long').to.equal(ERANGE);
  });

  it('stay under the rule for all where a rule leaves the name', () => {
    using driven = new DrivenShare({ xattrMap: ':ok:all:::' });
    const { driver } = driven;
    const { request } = driver;
    for (const name of ['trusted.a', 'security.ima']) {
      expect(driver.call(request.setxattr(1, name, Buffer.from('x'))).error, name).to.equal(EPERM);
    }
    expect(driver.call(request.setxattr(1, 'system.posix_acl_access', Buffer.from('x'))).error).to.equal(EOPNOTSUPP);
  });
});
