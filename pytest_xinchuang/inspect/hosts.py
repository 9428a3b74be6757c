"""Names that a program brings for what is opened into it."""

from __future__ import annotations

import re

OF_HOSTS = re.compile(
    r"_?_?Py[A-Z_]\w*|_Py\w+|napi_\w+|node_\w+|uv_\w+|_ZNK?(?:2v8|4node)\w+|R_\w+|Rf_\w+|lua_\w+|luaL_\w+|rb_\w+|ruby_\w+|zend_\w+"
    r"|php_\w+|Perl_\w+|PL_\w+|ngx_\w+|ap_\w+|apr_\w+|errstart\w*|errfinish|pg_\w+|palloc\w*|SPI_\w+|CurrentMemoryContext|JNI_\w+|ps_(?:p|l|get)\w+"
)
"""Names that the program brings which a plug-in is for: Python, Node, R, Lua, Ruby, PHP, Perl, nginx, Apache, PostgreSQL,
and a debugger (proc_service.h)."""
