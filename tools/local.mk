# SPDX-License-Identifier: MIT
# tempfilectl. It knows the public headers only.
