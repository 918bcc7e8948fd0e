// Starts Swagger UI on this service's own description. Nothing is asked of another host: no validator, no font,
// no script.
window.ui = SwaggerUIBundle({
    url: '/openapi.json',
    dom_id: '#api',
    deepLinking: true,
    displayRequestDuration: true,
    persistAuthorization: false,
    tryItOutEnabled: true,
    validatorUrl: 'none'
});
