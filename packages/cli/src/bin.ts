#!/usr/bin/env node
import { main } from "./internal/main.ts"

main(process.argv.slice(2))
