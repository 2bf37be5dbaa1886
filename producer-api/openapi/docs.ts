import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import path from 'node:path'
import { Router } from '@koa/router'

const PAGE = `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Firehose API</title>
<link rel="stylesheet" href="/docs/swagger-ui.css">
<link rel="icon" type="image/png" href="/docs/favicon-32x32.png">
<style>
body { margin: 0 }
.swagger-ui .info { margin: 32px 0 16px }
.swagger-ui .body-param__text { min-height: 160px }
.swagger-ui .parameter__name { white-space: nowrap }
/* There is only one server to choose, and no response has links. */
.swagger-ui .scheme-container, .swagger-ui .response-col_links { display: none }
</style>
</head>
<body>
<noscript>This page needs JavaScript. The API is described by <a href="/openapi.json">/openapi.json</a>.</noscript>
<div id="ui"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
`

const START = `SwaggerUIBundle({
  url: '/openapi.json',
  dom_id: '#ui',
  deepLinking: true,
  displayRequestDuration: true,
  defaultModelsExpandDepth: 0,
  validatorUrl: null,
})
`

/** Only scripts from this server may run. Swagger UI needs inline styles and has inline icons. */
const SECURITY_POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

const ASSETS = new Map([
  ['swagger-ui.css', 'text/css; charset=utf-8'],
  ['swagger-ui-bundle.js', 'text/javascript; charset=utf-8'],
  ['favicon-32x32.png', 'image/png'],
])

/** `/docs`: Swagger UI, served from its npm package without external resources. */
export function docsRoutes(): Router {
  const router = new Router()
  const folder = path.dirname(createRequire(import.meta.url).resolve('swagger-ui-dist/package.json'))
  router.get('/', (ctx) => ctx.redirect('/docs'))
  router.get('/docs', (ctx) => {
    ctx.set('Content-Security-Policy', SECURITY_POLICY)
    ctx.set('X-Content-Type-Options', 'nosniff')
    ctx.type = 'html'
    ctx.body = PAGE
  })
  router.get('/docs/start.js', (ctx) => {
    ctx.set('Content-Type', 'text/javascript; charset=utf-8')
    ctx.body = START
  })
  for (const [name, type] of ASSETS) {
    // Read on first use, because it is a megabyte that is seldom needed; then shared by all responses (I7).
    let content: Promise<Buffer> | undefined
    router.get(`/docs/${name}`, async (ctx) => {
      ctx.set('Cache-Control', 'public, max-age=3600')
      ctx.set('X-Content-Type-Options', 'nosniff')
      content ??= readFile(path.join(folder, name))
      ctx.body = await content.catch((error: unknown) => {
        content = undefined
        throw error
      })
      ctx.set('Content-Type', type)
    })
  }
  return router
}
