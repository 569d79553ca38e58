/**
 * Multipart uploads: create → parts in any order, each replaceable → complete (an object appears) or abort (nothing remains).
 * The state lives in memory; a restart forgets unfinished uploads, as an abort would.
 *
 *   ETag of the object = md5(md5 of part 1 | md5 of part 2 | …) "-" <number of parts>
 */
import { createHash, randomBytes } from 'node:crypto';

import { readXmlBody } from './bucket-handlers.ts';
import { parseRange } from './conditions.ts';
import { S3ServerError } from './errors.ts';
import { compareKeys } from './key-order.ts';
import { commitUnderConditions, keptHeaders, openCopySource, stageBody } from './object-handlers.ts';
import type { HandlerContext } from './object-handlers.ts';
import type { StagedBytes } from './object-store.ts';
import { S3_XMLNS, xmlAnswer } from './s3-answer.ts';
import type { S3Answer } from './s3-answer.ts';
import type { S3Request } from './s3-request.ts';
import { childText, escapeXml } from './xml.ts';

const PART_NUMBER_MAX = 10_000;
/** All parts but the last are at least this long, as in Amazon S3. */
export const PART_BYTES_MIN: number = 5 * 1024 * 1024;

interface Part {
  readonly staged: StagedBytes;
  readonly size: number;
  readonly md5Hex: string;
  readonly lastModifiedMs: number;
}

interface Upload {
  readonly bucket: string;
  readonly key: string;
  readonly startedMs: number;
  readonly contentType: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly parts: Map<number, Part>;
}

/** All multipart uploads in progress. */
export class MultipartUploads {
  #uploads = new Map<string, Upload>();
  readonly #partBytesMin: number;

  /** @param partBytesMin smallest part but the last; tests may lower it */
  constructor(partBytesMin: number) {
    this.#partBytesMin = partBytesMin;
  }

  #find(request: S3Request): Upload {
    const upload = this.#uploads.get(request.query.get('uploadId') ?? '');
    if (upload === undefined || upload.bucket !== request.bucket || upload.key !== request.key) {
      throw new S3ServerError('NoSuchUpload', 'The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.', { UploadId: request.query.get('uploadId') ?? '' });
    }
    return upload;
  }

  /** POST ?uploads */
  create(context: HandlerContext, request: S3Request): S3Answer {
    const id = randomBytes(16).toString('hex');
    this.#uploads.set(id, {
      bucket: request.bucket, key: request.key, startedMs: context.clock(), parts: new Map(),
      contentType: request.headers['content-type'] ?? 'binary/octet-stream', headers: keptHeaders(request),
    });
    return xmlAnswer(`<InitiateMultipartUploadResult ${S3_XMLNS}><Bucket>${escapeXml(request.bucket)}</Bucket><Key>${escapeXml(request.key)}</Key><UploadId>${id}</UploadId></InitiateMultipartUploadResult>`);
  }

  async #keepPart(request: S3Request, part: Part): Promise<void> {
    const upload = this.#uploads.get(request.query.get('uploadId') ?? '');
    const number = Number(request.query.get('partNumber'));
    if (upload === undefined) {
      await part.staged.discard();
      this.#find(request);
    } else {
      const before = upload.parts.get(number);
      upload.parts.set(number, part);
      await before?.staged.discard();
    }
  }

  #checkPartNumber(request: S3Request): void {
    const number = Number(request.query.get('partNumber'));
    if (!Number.isInteger(number) || number < 1 || number > PART_NUMBER_MAX) {
      throw new S3ServerError('InvalidArgument', `upload part: part number ${request.query.get('partNumber') ?? ''} is not in 1..${PART_NUMBER_MAX}`);
    }
  }

  /** PUT ?partNumber&uploadId */
  async uploadPart(context: HandlerContext, request: S3Request): Promise<S3Answer> {
    this.#find(request);
    this.#checkPartNumber(request);
    const { staged, digest } = await stageBody(context, request);
    await this.#keepPart(request, { staged, size: digest.size, md5Hex: digest.md5Hex, lastModifiedMs: context.clock() });
    return { status: 200, headers: { etag: `"${digest.md5Hex}"`, ...digest.checksums } };
  }

  /** PUT ?partNumber&uploadId with x-amz-copy-source */
  async uploadPartCopy(context: HandlerContext, request: S3Request): Promise<S3Answer> {
    this.#find(request);
    this.#checkPartNumber(request);
    const source = await openCopySource(context, request);
    const md5 = createHash('md5');
    const staged = await context.store.stage();
    let size = 0;
    try {
      const range = parseRange(request.headers['x-amz-copy-source-range'] as string | undefined, source.info.size);
      for await (const piece of source.read(range?.start ?? 0, range?.end ?? source.info.size)) {
        md5.update(piece);
        size += piece.length;
        await staged.write(piece);
      }
      await staged.finish();
    } catch (error) {
      await staged.discard();
      throw error;
    } finally {
      await source.close();
    }
    const md5Hex = md5.digest('hex');
    const lastModifiedMs = context.clock();
    await this.#keepPart(request, { staged, size, md5Hex, lastModifiedMs });
    return xmlAnswer(`<CopyPartResult ${S3_XMLNS}><LastModified>${new Date(lastModifiedMs).toISOString()}</LastModified><ETag>&quot;${md5Hex}&quot;</ETag></CopyPartResult>`);
  }

  /** GET ?uploadId */
  listParts(request: S3Request): S3Answer {
    const upload = this.#find(request);
    const after = Number(request.query.get('part-number-marker') ?? 0);
    const max = Math.min(1000, Number(request.query.get('max-parts') ?? 1000));
    const all = [...upload.parts].filter(([n]) => n > after).sort((a, b) => a[0] - b[0]);
    const page = all.slice(0, max);
    const lines = page.map(([n, p]) => `<Part><PartNumber>${n}</PartNumber><LastModified>${new Date(p.lastModifiedMs).toISOString()}</LastModified><ETag>&quot;${p.md5Hex}&quot;</ETag><Size>${p.size}</Size></Part>`).join('');
    return xmlAnswer(`<ListPartsResult ${S3_XMLNS}><Bucket>${escapeXml(upload.bucket)}</Bucket><Key>${escapeXml(upload.key)}</Key><UploadId>${request.query.get('uploadId')!}</UploadId>` +
      `<PartNumberMarker>${after}</PartNumberMarker>${page.length < all.length ? `<NextPartNumberMarker>${page[page.length - 1]![0]}</NextPartNumberMarker>` : ''}` +
      `<MaxParts>${max}</MaxParts><IsTruncated>${page.length < all.length}</IsTruncated>${lines}</ListPartsResult>`);
  }

  /** GET ?uploads, in one page */
  listUploads(request: S3Request): S3Answer {
    const prefix = request.query.get('prefix') ?? '';
    const lines = [...this.#uploads].filter(([, u]) => u.bucket === request.bucket && u.key.startsWith(prefix))
      .sort((a, b) => compareKeys(a[1].key, b[1].key) || a[1].startedMs - b[1].startedMs)
      .map(([id, u]) => `<Upload><Key>${escapeXml(u.key)}</Key><UploadId>${id}</UploadId><Initiated>${new Date(u.startedMs).toISOString()}</Initiated></Upload>`).join('');
    return xmlAnswer(`<ListMultipartUploadsResult ${S3_XMLNS}><Bucket>${escapeXml(request.bucket)}</Bucket><Prefix>${escapeXml(prefix)}</Prefix><MaxUploads>1000</MaxUploads><IsTruncated>false</IsTruncated>${lines}</ListMultipartUploadsResult>`);
  }

  /** DELETE ?uploadId */
  async abort(request: S3Request): Promise<S3Answer> {
    const upload = this.#find(request);
    this.#uploads.delete(request.query.get('uploadId')!);
    for (const part of upload.parts.values()) await part.staged.discard();
    return { status: 204, headers: {} };
  }

  #chosenParts(upload: Upload, wanted: readonly { number: number; etag: string }[]): Part[] {
    const chosen: Part[] = [];
    if (wanted.some(({ number }, i) => i > 0 && number <= wanted[i - 1]!.number)) {
      throw new S3ServerError('InvalidPartOrder', 'The list of parts was not in ascending order. The parts list must be specified in order by part number.');
    }
    for (const [i, { number, etag }] of wanted.entries()) {
      const part = upload.parts.get(number);
      if (part === undefined || part.md5Hex !== etag) throw new S3ServerError('InvalidPart', 'One or more of the specified parts could not be found. The part might not have been uploaded, or the specified ETag might not match.', { PartNumber: String(number) });
      if (i < wanted.length - 1 && part.size < this.#partBytesMin) throw new S3ServerError('EntityTooSmall', 'Your proposed upload is smaller than the minimum allowed object size.', { PartNumber: String(number), ProposedSize: String(part.size), MinSizeAllowed: String(this.#partBytesMin) });
      chosen.push(part);
    }
    return chosen;
  }

  /** POST ?uploadId */
  async complete(context: HandlerContext, request: S3Request): Promise<S3Answer> {
    const upload = this.#find(request);
    const root = await readXmlBody(context, request, 'CompleteMultipartUpload');
    const wanted = root.children.filter((c) => c.name === 'Part').map((c) => ({
      number: Number(childText(c, 'PartNumber')), etag: (childText(c, 'ETag') ?? '').replace(/^"|"$/g, ''),
    }));
    if (wanted.length === 0) throw new S3ServerError('MalformedXML', 'complete multipart upload: the document names no part');
    const parts = this.#chosenParts(upload, wanted);
    const md5s = createHash('md5');
    const staged = await context.store.stage();
    try {
      for (const part of parts) {
        md5s.update(Buffer.from(part.md5Hex, 'hex'));
        for await (const piece of part.staged.read()) await staged.write(piece);
      }
      await staged.finish();
    } catch (error) {
      await staged.discard();
      throw error;
    }
    const etag = `${md5s.digest('hex')}-${parts.length}`;
    await commitUnderConditions(context, request, staged, { etag, lastModifiedMs: context.clock(), contentType: upload.contentType, headers: upload.headers });
    this.#uploads.delete(request.query.get('uploadId')!);
    for (const part of upload.parts.values()) await part.staged.discard();
    return xmlAnswer(`<CompleteMultipartUploadResult ${S3_XMLNS}><Location>/${escapeXml(request.bucket)}/${escapeXml(request.key)}</Location><Bucket>${escapeXml(request.bucket)}</Bucket><Key>${escapeXml(request.key)}</Key><ETag>&quot;${etag}&quot;</ETag></CompleteMultipartUploadResult>`);
  }
}
