import { expect, test } from '@jest/globals';
import { cipherList, curveList, tlsVersion } from './tls.ts';

test('names of Go become names of OpenSSL', () => {
  expect(cipherList(['TLS_AES_128_GCM_SHA256', 'TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256', 'TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384', 'TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256', 'TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA', 'TLS_RSA_WITH_AES_256_GCM_SHA384'])).toBe(
    'TLS_AES_128_GCM_SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-CHACHA20-POLY1305:ECDHE-RSA-AES128-SHA:AES256-GCM-SHA384',
  );
  expect(curveList(['CurveP256', 'X25519'])).toBe('P-256:X25519');
  expect(['1.0', 'TLS12', '', '1.3'].map(tlsVersion)).toEqual(['TLSv1', 'TLSv1.2', 'TLSv1.3', 'TLSv1.3']);
  expect(() => curveList(['constructor'])).toThrow("TLS curve: got 'constructor', wanted one of CurveP256, CurveP384, CurveP521, X25519");
  expect(() => tlsVersion('1.4')).toThrow("got '1.4'");
});
