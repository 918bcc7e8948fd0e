/*
 * Files that directives name: secrets and lists, read whole while the configuration is parsed.
 */
#include "ngx_http_foodsvc_core.h"


ngx_int_t
ngx_http_foodsvc_first_line(ngx_conf_t *cf, ngx_str_t *path, size_t max, ngx_str_t *line)
{
    ngx_str_t  text;

    if (ngx_http_foodsvc_read_file(cf, path, max, &text) != NGX_OK) {
        return NGX_ERROR;
    }

    line->data = text.data + strspn((char *) text.data, " \t");
    line->len = strcspn((char *) line->data, "\r\n");

    while (line->len && (line->data[line->len - 1] == ' ' || line->data[line->len - 1] == '\t')) {
        line->len--;
    }

    line->data[line->len] = '\0';

    return NGX_OK;
}


ngx_int_t
ngx_http_foodsvc_read_file(ngx_conf_t *cf, ngx_str_t *path, size_t max, ngx_str_t *text)
{
    ssize_t          n;
    ngx_file_t       file;
    ngx_file_info_t  fi;

    ngx_memzero(&file, sizeof(ngx_file_t));
    file.name = *path;
    file.log = cf->log;

    if (ngx_conf_full_name(cf->cycle, &file.name, 1) != NGX_OK) {
        return NGX_ERROR;
    }

    file.fd = ngx_open_file(file.name.data, NGX_FILE_RDONLY, NGX_FILE_OPEN, 0);
    if (file.fd == NGX_INVALID_FILE) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno, "cannot open \"%V\": it must be there and readable by root",
                           &file.name);
        return NGX_ERROR;
    }

    n = NGX_ERROR;

    if (ngx_fd_info(file.fd, &fi) == NGX_FILE_ERROR || !ngx_is_file(&fi) || (size_t) ngx_file_size(&fi) > max) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "\"%V\" must be a regular file of at most %uz bytes", &file.name, max);

    } else {
        text->len = (size_t) ngx_file_size(&fi);
        text->data = ngx_pcalloc(cf->pool, text->len + 1);

        if (text->data) {
            n = text->len ? ngx_read_file(&file, text->data, text->len, 0) : 0;
        }
    }

    ngx_close_file(file.fd);

    return (n >= 0 && (size_t) n == text->len) ? NGX_OK : NGX_ERROR;
}
