import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import { addressRefusal, compilePolicy, parseTarget } from './addresses.js';

const strict = compilePolicy({ allowHttpTargets: false, allowPrivateTargets: [] });
const lenient = compilePolicy({ allowHttpTargets: true, allowPrivateTargets: ['127.0.0.0/8', 'fd00::/8'] });
const refusal = (url: string, policy = strict) => {
  const parsed = parseTarget(url, policy);
  return parsed.kind === 'refused' ? parsed.reason : undefined;
};

describe('an outbound URL', () => {
  it.each([
    'https://example.com/hook',
    'https://example.com:8443/a?b=c#d',
    'https://8.8.8.8/',
    'https://[2606:4700::1]/',
  ])('is fine when it is https to a public name or address: %s', (url) => expect(refusal(url)).toBeUndefined());

  it.each([
    ['loopback', 'https://127.0.0.1/'],
    ['loopback, shortened', 'https://127.1/'],
    ['loopback, decimal', 'https://2130706433/'],
    ['loopback, octal', 'https://0177.0.0.1/'],
    ['loopback, hexadecimal', 'https://0x7f.0.0.1/'],
    ['loopback, one hexadecimal number', 'https://0x7f000001/'],
    ['loopback, percent-encoded', 'https://%31%32%37.0.0.1/'],
    ['loopback, full-width digits', 'https://１２７.0.0.1/'],
    ['loopback, ideographic full stops', 'https://127。0。0。1/'],
    ['loopback, trailing dot', 'https://127.0.0.1./'],
    ['loopback of IPv6', 'https://[::1]/'],
    ['loopback of IPv6, long form', 'https://[0:0:0:0:0:0:0:1]/'],
    ['localhost', 'https://localhost/'],
    ['localhost in capitals with a dot', 'https://LOCALHOST./'],
    ['a name below localhost', 'https://a.localhost/'],
    ['this network', 'https://0.0.0.0/'],
    ['this network, shortened', 'https://0/'],
    ['the unspecified address of IPv6', 'https://[::]/'],
    ['private 10/8', 'https://10.1.2.3/'],
    ['private 172.16/12', 'https://172.16.0.1/'],
    ['private 192.168/16', 'https://192.168.0.1/'],
    ['link-local, where clouds keep credentials', 'https://169.254.169.254/latest/meta-data'],
    ['carrier-grade NAT', 'https://100.64.0.1/'],
    ['IETF protocol assignments', 'https://192.0.0.8/'],
    ['benchmarking', 'https://198.18.0.1/'],
    ['documentation', 'https://192.0.2.1/'],
    ['multicast', 'https://224.0.0.1/'],
    ['reserved', 'https://240.0.0.1/'],
    ['broadcast', 'https://255.255.255.255/'],
    ['IPv4-mapped loopback', 'https://[::ffff:127.0.0.1]/'],
    ['IPv4-mapped loopback in hexadecimal', 'https://[::ffff:7f00:1]/'],
    ['IPv4-compatible loopback', 'https://[::127.0.0.1]/'],
    ['IPv4-translated loopback', 'https://[::ffff:0:127.0.0.1]/'],
    ['NAT64 of a private address', 'https://[64:ff9b::10.0.0.1]/'],
    ['local NAT64', 'https://[64:ff9b:1::1]/'],
    ['6to4 of loopback', 'https://[2002:7f00:1::]/'],
    ['Teredo', 'https://[2001::1]/'],
    ['unique local', 'https://[fd00::1]/'],
    ['link-local of IPv6', 'https://[fe80::1]/'],
    ['link-local with a zone', 'https://[fe80::1%25eth0]/'],
    ['site-local', 'https://[fec0::1]/'],
    ['multicast of IPv6', 'https://[ff02::1]/'],
    ['not handed out', 'https://[4000::1]/'],
    ['documentation of IPv6', 'https://[2001:db8::1]/'],
  ])('is refused when it names %s', (_, url) => expect(refusal(url)).toBeDefined());

  it.each(['ftp://example.com/', 'file:///etc/passwd', 'gopher://example.com/', 'javascript:1', 'data:text/plain,x'])(
    'is refused when its scheme is another: %s',
    (url) => expect(refusal(url, lenient)).toMatch(/https/),
  );

  it.each(['', 'example.com/hook', '/hook', 'https://', 'https://exa mple.com', 'https://999.999.999.999/'])(
    'is refused when it is not a URL: "%s"',
    (url) => expect(refusal(url, lenient)).toBeDefined(),
  );

  it('is refused as plain http, with the variable that allows it', () => {
    expect(refusal('http://example.com/')).toMatch(/MILLRACE_ALLOW_HTTP_TARGETS/);
    expect(refusal('http://example.com/', lenient)).toBeUndefined();
  });

  it.each(['https://user@example.com/', 'https://user:pass@example.com/', 'https://:pass@example.com/'])(
    'is refused when it carries credentials: %s',
    (url) => expect(refusal(url, lenient)).toMatch(/credentials/),
  );

  it('names the variable and the CIDR that would allow a private address', () => {
    expect(refusal('https://10.0.0.5/')).toMatch(/MILLRACE_ALLOW_PRIVATE_TARGETS including 10\.0\.0\.5\/32/);
    expect(refusal('https://[::ffff:10.0.0.5]/')).toMatch(/10\.0\.0\.5\/32/);
    expect(refusal('https://[fe80::1]/')).toMatch(/fe80::1\/128/);
  });

  it('may name a private address inside an allowed range, in whatever form', () => {
    for (const url of ['http://127.0.0.1/', 'http://2130706433/', 'http://[::ffff:127.0.0.1]/', 'https://[fd00::1]/'])
      expect(refusal(url, lenient)).toBeUndefined();
    expect(refusal('http://10.0.0.1/', lenient)).toBeDefined();
    expect(refusal('http://localhost:9000/', lenient)).toBeUndefined();
  });

  it.each([
    ['169.254.169.254', '[::ffff:169.254.169.254]', '2852039166', '0xa9fea9fe', '0251.0376.0251.0376', '169.254.43518'],
    [
      '[::ffff:a9fe:a9fe]',
      '[64:ff9b::169.254.169.254]',
      '[2002:a9fe:a9fe::1]',
      '[::169.254.169.254]',
      '169.254.169.254.',
    ],
    ['168.63.129.16', '[::ffff:168.63.129.16]', '2822734096', '[64:ff9b::a83f:8110]', '[2002:a83f:8110::]'],
    ['169.254.170.23', '192.0.0.192', '[fd00:ec2::23]', '[fd20:ce::254]'],
    ['[fd00:ec2::254]', '[FD00:0EC2:0:0::0254]', '[fd00:0ec2:0000:0000:0000:0000:0000:0254]'],
  ])('is never the metadata address of a cloud, however it is written and whatever is allowed: %s', (...hosts) => {
    const open = compilePolicy({
      allowHttpTargets: true,
      allowPrivateTargets: ['0.0.0.0/0', '::/0', '169.254.169.254/32'],
    });
    for (const host of hosts) {
      expect(refusal(`http://${host}/`)).toBeDefined();
      expect(refusal(`http://${host}/latest/meta-data`, open)).toMatch(/metadata address/);
    }
    expect(addressRefusal('169.254.169.254', open)).toMatch(/metadata address/);
    expect(refusal('http://169.254.169.253/', open)).toBeUndefined();
  });

  it('longer than 4096 characters is refused', () => {
    expect(refusal(`https://example.com/${'a'.repeat(5000)}`)).toMatch(/4096/);
  });

  it('never makes the check throw', () => {
    // `fc.webUrl` lists every character of Unicode first, which takes a second.
    const webUrl = fc
      .tuple(fc.constantFrom('http', 'https'), fc.webAuthority({ withPort: true }), fc.string())
      .map(([scheme, host, rest]) => `${scheme}://${host}/${rest}`);
    fc.assert(
      fc.property(fc.oneof(fc.string(), webUrl, fc.ipV4Extended(), fc.ipV6()), (text) => {
        for (const url of [text, `https://${text}/`, `https://[${text}]/`]) refusal(url);
      }),
    );
  });
});

describe('a resolved address', () => {
  it('of any private range is refused, also mapped into IPv6', () => {
    const privately = fc.oneof(
      fc.tuple(fc.constant(10), fc.nat(255), fc.nat(255), fc.nat(255)),
      fc.tuple(fc.constant(127), fc.nat(255), fc.nat(255), fc.nat(255)),
      fc.tuple(fc.constant(192), fc.constant(168), fc.nat(255), fc.nat(255)),
      fc.tuple(fc.constant(172), fc.integer({ min: 16, max: 31 }), fc.nat(255), fc.nat(255)),
      fc.tuple(fc.constant(169), fc.constant(254), fc.nat(255), fc.nat(255)),
    );
    fc.assert(
      fc.property(privately, (bytes) => {
        const address = bytes.join('.');
        for (const form of [address, `::ffff:${address}`, `64:ff9b::${address}`])
          expect(addressRefusal(form, strict)).toBeDefined();
      }),
    );
  });

  it('that is public is accepted, also through NAT64', () => {
    for (const address of ['8.8.8.8', '::ffff:8.8.8.8', '64:ff9b::8.8.8.8', '2606:4700::1111'])
      expect(addressRefusal(address, strict)).toBeUndefined();
  });

  it('that is no address is refused', () => {
    for (const text of ['', 'example.com', '1.2.3.4/8', 'fe80::zz']) expect(addressRefusal(text, strict)).toBeDefined();
  });
});
