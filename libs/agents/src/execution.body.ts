import { ApiProperty } from '@nestjs/swagger';

import type { ExecutionStatus, ExecutionTrigger } from './agent.view.js';

export class ExecutionAnswer {
  @ApiProperty({ example: 'exec_01jq5x1d0wkz4s3v2n8m7b6c5a' })
  id!: string;
  @ApiProperty({ type: String, nullable: true })
  agentId!: string | null;
  @ApiProperty({ description: 'As the request named it.' })
  agent!: string;
  @ApiProperty({ enum: ['webhook', 'rule', 'workflow', 'manual', 'schedule'] })
  trigger!: ExecutionTrigger;
  @ApiProperty({ enum: ['pending', 'running', 'completed', 'failed', 'cancelled', 'timeout'] })
  status!: ExecutionStatus;
  @ApiProperty({ description: 'The event that led to it; its payload is the input of a webhook.' })
  eventId!: string;
  @ApiProperty({ type: String, nullable: true, description: 'The rule or run that asked for it.' })
  requestedBy!: string | null;
  @ApiProperty({ format: 'date-time' })
  createdAt!: string;
  @ApiProperty({ type: String, format: 'date-time', nullable: true })
  finishedAt!: string | null;
}
