import { ApiProperty, ApiPropertyOptional, OmitType, PartialType } from '@nestjs/swagger';
import { ArrayNotEmpty, ArrayUnique, IsIn, IsOptional, IsString, Length, ValidateIf } from 'class-validator';

import type { Role } from '../caller.js';
import { IsTime } from '../time.body.js';

const ROLE_NAMES: readonly Role[] = ['admin', 'designer', 'integrator', 'auditor'];

export class NewToken {
  @ApiProperty({ description: 'What it is for; shown in lists.', example: 'ci' })
  @IsString()
  @Length(1, 100)
  name!: string;

  @ApiProperty({ enum: ROLE_NAMES, isArray: true, description: '`admin` includes all others.' })
  @ArrayNotEmpty()
  @ArrayUnique()
  @IsIn(ROLE_NAMES, { each: true, message: `each entry must be one of ${ROLE_NAMES.join(', ')}` })
  roles!: Role[];

  @ApiPropertyOptional({ description: 'RFC 3339; without it the token is valid until it is revoked.' })
  @IsOptional()
  @IsTime()
  expiresAt?: string;
}

/** What is given is changed. */
export class ChangedToken extends PartialType(OmitType(NewToken, ['expiresAt'])) {
  @ApiPropertyOptional({ type: String, nullable: true, description: 'RFC 3339; null: valid until it is revoked.' })
  @ValidateIf((_, value: unknown) => value !== undefined && value !== null)
  @IsTime()
  expiresAt?: string | null;
}

export class TokenAnswer {
  @ApiProperty({ example: 'tok_01jq5x1d0wkz4s3v2n8m7b6c5a' })
  id!: string;
  @ApiProperty()
  name!: string;
  @ApiProperty({ enum: ROLE_NAMES, isArray: true })
  roles!: readonly Role[];
  @ApiProperty({ type: String, format: 'date-time', nullable: true })
  expiresAt!: string | null;
  @ApiProperty({ format: 'date-time' })
  createdAt!: string;
  @ApiProperty({ description: 'Who created it.' })
  createdBy!: string;
  @ApiProperty({ description: 'From MILLRACE_ADMIN_TOKEN or the first start.' })
  bootstrap!: boolean;
  @ApiProperty({
    type: String,
    format: 'date-time',
    nullable: true,
    description: 'When it was last used, as far as known: uses of other processes are known within seconds.',
  })
  lastUsedAt!: string | null;
}

export class CreatedToken extends TokenAnswer {
  @ApiProperty({ description: 'The token itself: shown in this answer only.', example: 'mr_…' })
  token!: string;
}

export class TokenPage {
  @ApiProperty({ type: [TokenAnswer] })
  data!: TokenAnswer[];
  @ApiProperty({ type: String, nullable: true })
  nextCursor!: string | null;
}
